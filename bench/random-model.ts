/**
 * Models of a known geometry with random weights, made in memory: no file, the same bytes for the
 * same geometry. Matrices lie packed as loading a checkpoint would leave them, so that a Program
 * over them reads what it would read of a real model. Imported by the benches; runs nothing.
 */
import { packedSize, type TernaryLayout, type Weight } from "../src/graph/index.ts";
import {
  allocateInt8Head,
  Decoder,
  type DecoderConfig,
  type DecoderLayer,
  type DecoderWeights,
  type Int8Head,
  type MatrixRole,
  matrixShape,
  type NormRole,
  normWidth,
  storeSize,
  WeightStore,
} from "../src/models/index.ts";
import { Region } from "../src/native/index.ts";
import { type Norm, type Projection, ropeFrequencies } from "../src/nn/index.ts";
import {
  base3Source,
  bf16Source,
  headSources,
  nibbleCentre,
  nibbleSpread,
  type RandomBytes,
  randomWords,
  ternarySource,
} from "./random-bytes.ts";

export type GeometryName = "2b4t" | "110m" | "smoke";

const bitnet = {
  family: "BitNetForCausalLM",
  normEps: 1e-5,
  activation: "relu2",
  rope: { theta: 500_000 },
  tiedHead: true,
} as const;

/** 2b4t is microsoft/bitnet-b1.58-2B-4T; smoke has all its parts and next to no size. */
export const geometries: Readonly<Record<GeometryName, DecoderConfig>> = {
  "2b4t": {
    ...bitnet,
    vocabularySize: 128_256,
    hiddenSize: 2560,
    intermediateSize: 6912,
    layerCount: 30,
    headCount: 20,
    groupCount: 5,
    headWidth: 128,
    contextLength: 4096,
  },
  "110m": {
    ...bitnet,
    vocabularySize: 32_000,
    hiddenSize: 768,
    intermediateSize: 2048,
    layerCount: 12,
    headCount: 12,
    groupCount: 12,
    headWidth: 64,
    contextLength: 4096,
  },
  smoke: {
    ...bitnet,
    vocabularySize: 512,
    hiddenSize: 128,
    intermediateSize: 192,
    layerCount: 2,
    headCount: 4,
    groupCount: 2,
    headWidth: 32,
    contextLength: 4096,
  },
};

/** Ids below this have embeddings in a fast model; see `embeddingRows`. */
const livelyIds = 4096;

export interface RandomModel extends Disposable {
  decoder: Decoder;
  /** Ids of a prompt, others each time. */
  ids(count: number): number[];
}

export interface RandomModelOptions {
  /** For `fast` there is an int8 head, for `exact` the tied embedding serves as the head. */
  precision: "fast" | "exact";
  packing: TernaryLayout;
}

/** Makes the weights. */
export function randomModel(
  config: DecoderConfig,
  { precision, packing }: RandomModelOptions,
): RandomModel {
  const fast = precision === "fast";
  const size = storeSize({ config, scheme: { kind: "packed" } }, { int8Head: fast, packing });
  const store = new WeightStore(size);
  const embedding = Region.create(2 * config.vocabularySize * config.hiddenSize, {
    tag: "weights",
  });
  const weights = new Making(config, store, packing).all(embedding, fast);
  const idCount = Math.min(livelyIds, config.vocabularySize);
  const random = randomWords(4);
  return {
    decoder: new Decoder(config, weights),
    ids: (count) => Array.from({ length: count }, () => random() % idCount),
    [Symbol.dispose]() {
      store[Symbol.dispose]();
      embedding[Symbol.dispose]();
    },
  };
}

class Making {
  readonly #ternary: RandomBytes;

  constructor(
    readonly config: DecoderConfig,
    readonly store: WeightStore,
    readonly packing: TernaryLayout,
  ) {
    this.#ternary = packing === "tile2" ? ternarySource() : base3Source();
  }

  all(embeddingRegion: Region, fast: boolean): DecoderWeights {
    const { config, store } = this;
    const layers = Array.from({ length: config.layerCount }, () => this.#layer());
    const embedding: Weight = {
      region: embeddingRegion,
      offset: 0,
      dtype: "bf16",
      layout: "strided",
      shape: [config.vocabularySize, config.hiddenSize],
    };
    const filled = fast ? Math.min(livelyIds, config.vocabularySize) : config.vocabularySize;
    fill(bf16Source(), { ...embedding, shape: [filled, config.hiddenSize] }, 2);
    return {
      embedding,
      ropeFrequencies: store.vector(ropeFrequencies(config.rope, config.headWidth)),
      layers,
      finalNorm: this.#norm(config.hiddenSize),
      head: embedding,
      int8Head: fast ? this.#int8Head() : undefined,
    };
  }

  #layer(): DecoderLayer {
    const norm = (role: NormRole): Norm => this.#norm(normWidth(this.config, role));
    const attentionNorm = norm("attentionNorm");
    const [q, k, v] = this.#projections(["q", "k", "v"]);
    const [o] = this.#projections(["o"]);
    const [gate, up] = this.#projections(["gate", "up"]);
    const [down] = this.#projections(["down"]);
    return {
      attentionNorm,
      q: q!,
      k: k!,
      v: v!,
      attentionSubNorm: norm("attentionSubNorm"),
      o: o!,
      feedForwardNorm: norm("feedForwardNorm"),
      gate: gate!,
      up: up!,
      feedForwardSubNorm: norm("feedForwardSubNorm"),
      down: down!,
    };
  }

  /** Matrices that read the same input: one behind the other, then their scales. */
  #projections(roles: readonly MatrixRole[]): Projection[] {
    const packed = roles.map((role) => {
      const [rows, cols] = matrixShape(this.config, role);
      const weight = this.store.allocate([rows, cols], "i8", this.packing);
      const size = packedSize(this.packing, rows, cols);
      this.#ternary.fill(weight.region.bytes(weight.offset, size));
      return weight;
    });
    return packed.map((weight) => {
      const [rows, cols] = weight.shape as [number, number];
      // Keeps the size of what goes through: two in three weights are not zero.
      const scale = Math.sqrt(1.5 / cols);
      return {
        weight: { ...weight, rowScale: this.store.vector(new Float32Array(rows).fill(scale)) },
      };
    });
  }

  /**
   * Divisors that make all ids but the lively ones unlikely, so that the other rows of the
   * embedding can stay untouched, as most pages of a mapped file do.
   */
  #int8Head(): Int8Head {
    const { vocabularySize, hiddenSize } = this.config;
    const head = allocateInt8Head(this.store, [vocabularySize, hiddenSize]);
    const sources = headSources();
    fill(sources.high, head.high, 1 / 2);
    fill(sources.low, head.low, 1 / 2);
    const set = ({ region, offset }: Weight, values: Float32Array): void => {
      region.bytes(offset, values.byteLength).set(new Uint8Array(values.buffer));
    };
    const divisors = new Float32Array(vocabularySize).fill(2 * 127 * Math.sqrt(hiddenSize));
    divisors.fill(127 * Math.sqrt(hiddenSize), 0, livelyIds);
    set(head.scales, divisors);
    set(head.centre, new Float32Array(vocabularySize).fill(nibbleCentre));
    set(head.spread, new Float32Array(vocabularySize).fill(nibbleSpread));
    return head;
  }

  #norm(width: number): Norm {
    const gamma = this.store.vector(new Float32Array(width).fill(1));
    return { gamma, eps: this.config.normEps };
  }
}

function fill(source: RandomBytes, { region, offset, shape }: Weight, elementSize: number): void {
  const size = shape.reduce((product, extent) => product * extent, elementSize);
  source.fill(region.bytes(offset, size));
}
