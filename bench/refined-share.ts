/**
 * How much of a screened head's low plane a greedy step reads: the share of rows that are left
 * after the high plane, over states of a model. Imported by the benches; runs nothing.
 */
import { Graph, Program, samplingColumns } from "../src/graph/index.ts";
import type { Decoder } from "../src/models/index.ts";
import { Region } from "../src/native/index.ts";
import { type CacheShape, cacheSize } from "../src/nn/index.ts";

/** Over the states of one sequence of these ids, 64 at most; 1 for a head that is not screened. */
export async function refinedShare(decoder: Decoder, ids: readonly number[]): Promise<number> {
  if (!decoder.weights.int8Head) return 1;
  const { layerCount, groupCount, headWidth, vocabularySize } = decoder.config;
  const shape: CacheShape = { layerCount, groupCount, headWidth, pageCount: 1, dtype: "f16" };
  using program = new Program(recordLogits(decoder, shape));
  using cache = Region.create(cacheSize(shape));
  using logits = Region.create(vocabularySize * 4);
  let left = 0;
  for (const [position, id] of ids.entries()) {
    await program.submit({
      inputs: {
        ids: Int32Array.of(id),
        positions: Int32Array.of(position),
        sequences: Int32Array.of(0),
        pages: Int32Array.of(0),
        params: new Float32Array(samplingColumns),
        history: Int32Array.of(0),
        lengths: Int32Array.of(0),
      },
      regions: { cache, logits },
    });
    for (const logit of new Float32Array(logits.bytes(0, vocabularySize * 4).buffer)) {
      if (logit !== Number.NEGATIVE_INFINITY) left += 1;
    }
  }
  return left / (ids.length * vocabularySize);
}

/** One token to the logits that a greedy draw looks at. */
function recordLogits(decoder: Decoder, cacheShape: CacheShape): Graph {
  const graph = new Graph();
  const ids = graph.input("ids", "i32", [1]);
  const places = {
    positions: graph.input("positions", "i32", [1]),
    sequences: graph.input("sequences", "i32", [1]),
    pages: graph.input("pages", "i32", [1, 1]),
  };
  const cache = graph.state("cache", cacheSize(cacheShape));
  const x = decoder.forward(graph, { ids, places, cache, cacheShape });
  const sampling = {
    params: graph.input("params", "f32", [1, samplingColumns]),
    history: graph.input("history", "i32", [1, 1]),
    lengths: graph.input("lengths", "i32", [1]),
  };
  const into = graph.output("logits", "f32", [1, decoder.config.vocabularySize]);
  decoder.head(graph, x, { precision: "fast", sampling, into });
  return graph;
}
