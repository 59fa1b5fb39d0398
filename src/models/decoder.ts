/**
 * A decoder of the BitNet kind, recorded on a graph: what all families share. A family differs in
 * its activation, in norms between attention and output or inside the feed-forward, and in norms
 * before each projection.
 *
 *   x = embed(ids)
 *   for each layer:
 *     x = x + o(sub_norm(attention(qkv(norm(x)))))
 *     x = x + down(sub_norm(act(gate(norm(x))) * up(norm(x))))
 *   logits = head(norm(x))
 */
import type { Graph, Storage, Value, Weight } from "../graph/index.ts";
import type { ActivationName } from "../native/index.ts";
import {
  attend,
  type CacheShape,
  cacheOfLayer,
  type Norm,
  type Places,
  type Projection,
  project,
  type RopeSettings,
  rmsNorm,
} from "../nn/index.ts";
import { type Int8Head, type Int8HeadOptions, recordInt8Head } from "./head.ts";

/** Sizes and settings of a decoder, whatever file they came from. */
export interface DecoderConfig {
  family: string;
  vocabularySize: number;
  hiddenSize: number;
  intermediateSize: number;
  layerCount: number;
  headCount: number;
  /** Heads of keys and values. */
  groupCount: number;
  headWidth: number;
  normEps: number;
  contextLength: number;
  activation: ActivationName;
  rope: RopeSettings;
  tiedHead: boolean;
}

export interface DecoderLayer {
  attentionNorm: Norm;
  q: Projection;
  k: Projection;
  v: Projection;
  attentionSubNorm?: Norm;
  o: Projection;
  feedForwardNorm: Norm;
  gate: Projection;
  up: Projection;
  feedForwardSubNorm?: Norm;
  down: Projection;
}

export interface DecoderWeights {
  embedding: Weight;
  /** f32 (head width / 2). */
  ropeFrequencies: Weight;
  layers: DecoderLayer[];
  finalNorm: Norm;
  /** In the checkpoint's dtype, (vocabulary, hidden). */
  head: Weight;
  int8Head?: Int8Head;
}

export interface ForwardInput {
  /** i32 (rows). */
  ids: Value;
  places: Places;
  cache: Storage;
  cacheShape: CacheShape;
  /** Shown every value worth comparing with a reference, by its name there. */
  tap?: (name: string, value: Value) => void;
}

export interface HeadOptions extends Int8HeadOptions {
  precision: "exact" | "fast";
}

export class Decoder {
  constructor(
    readonly config: DecoderConfig,
    readonly weights: DecoderWeights,
  ) {}

  /** The residual stream after the last layer, f32 (rows, hidden). */
  forward(graph: Graph, input: ForwardInput): Value {
    const { ids, places, tap = () => {} } = input;
    const { embedding, ropeFrequencies, layers } = this.weights;
    let x = graph.one("embedding", [ids, graph.constant(embedding)]);
    tap("embeddings", x);
    const angles = [places.positions, graph.constant(ropeFrequencies)];
    const rotation = graph.apply("rope_angles", angles, { attrs: { scale: 1 } });
    layers.forEach((layer, index) => {
      const cache = cacheOfLayer(graph, input.cache, { layer: index, shape: input.cacheShape });
      const tapHere = (name: string, value: Value): void => tap(`layer_${index}_${name}`, value);
      x = this.#attention(graph, x, { layer, rotation, cache, places, tap: tapHere });
      x = this.#feedForward(graph, x, { layer, tap: tapHere });
      tap(`layer_${index}`, x);
    });
    return x;
  }

  /** What the head reads: the residual stream after the final norm. */
  normed(graph: Graph, x: Value): Value {
    return rmsNorm(graph, x, this.weights.finalNorm);
  }

  /**
   * Logits of rows of the residual stream, f32 (rows, vocabulary); for `fast` and with `sampling`,
   * -infinity where a token surely is not drawn.
   */
  head(graph: Graph, x: Value, { precision, sampling, into }: HeadOptions): Value {
    const { head, int8Head } = this.weights;
    const normed = this.normed(graph, x);
    if (precision === "exact" || !int8Head) {
      return graph.one("dense_matmul", [normed, graph.constant(head)], {
        attrs: { has_bias: 0 },
        into: [into],
      });
    }
    return recordInt8Head(graph, normed, { head: int8Head, sampling, into });
  }

  #attention(graph: Graph, x: Value, context: LayerContext & AttentionContext): Value {
    const { layer, rotation, cache, places, tap } = context;
    const { headCount, groupCount, headWidth } = this.config;
    const normed = rmsNorm(graph, x, layer.attentionNorm);
    tap("input_layernorm", normed);
    const [q, k, v] = [layer.q, layer.k, layer.v].map((one) => project(graph, normed, one)) as [
      Value,
      Value,
      Value,
    ];
    tap("q_proj", q);
    tap("k_proj", k);
    tap("v_proj", v);
    const mixed = attend(graph, {
      q: q.splitLast(headCount, headWidth),
      k: k.splitLast(groupCount, headWidth),
      v: v.splitLast(groupCount, headWidth),
      cos: rotation[0]!,
      sin: rotation[1]!,
      cache,
      places,
    });
    const inner = layer.attentionSubNorm ? rmsNorm(graph, mixed, layer.attentionSubNorm) : mixed;
    tap("o_proj_input", inner);
    const y = project(graph, inner, layer.o);
    tap("o_proj", y);
    return graph.one("add", [x, y]);
  }

  #feedForward(graph: Graph, x: Value, { layer, tap }: LayerContext): Value {
    const normed = rmsNorm(graph, x, layer.feedForwardNorm);
    tap("post_attention_layernorm", normed);
    const [gate, up] = [layer.gate, layer.up].map((one) => project(graph, normed, one)) as [
      Value,
      Value,
    ];
    tap("gate_proj", gate);
    tap("up_proj", up);
    const mixed = graph.one("gated_activation", [gate, up], {
      attrs: { activation: this.config.activation },
    });
    const inner = layer.feedForwardSubNorm
      ? rmsNorm(graph, mixed, layer.feedForwardSubNorm)
      : mixed;
    tap("down_proj_input", inner);
    const y = project(graph, inner, layer.down);
    tap("down_proj", y);
    return graph.one("add", [x, y]);
  }
}

interface LayerContext {
  layer: DecoderLayer;
  tap: (name: string, value: Value) => void;
}

interface AttentionContext {
  rotation: Value[];
  cache: [keys: Value, values: Value];
  places: Places;
}
