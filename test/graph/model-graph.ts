/** A fixture model's forward pass as a graph of a test's own: any rows, any number of sequences. */
import { join } from "node:path";
import { openCheckpoint } from "../../src/checkpoint/index.ts";
import {
  type Dim,
  type Graph,
  type Sym,
  samplingColumns,
  type Value,
} from "../../src/graph/index.ts";
import { type Decoder, type LoadedDecoder, loadDecoder } from "../../src/models/index.ts";
import { type CacheShape, cacheSize } from "../../src/nn/index.ts";

export async function openDecoder(name: string): Promise<LoadedDecoder> {
  const path = join(import.meta.dir, "../fixtures/models", name);
  return loadDecoder(await openCheckpoint(path), { int8Head: true });
}

export interface LogitsShape {
  rows: Sym | number;
  sequences: number;
  /** Pages of each sequence. */
  pages: number;
  precision?: "exact" | "fast";
}

/** Records logits of all rows into an output; the state "cache" has pages for all sequences. */
export function recordLogits(graph: Graph, decoder: Decoder, shape: LogitsShape): void {
  const { x } = recordForward(graph, decoder, shape);
  const dims: (Dim | Sym)[] = [shape.rows, decoder.config.vocabularySize];
  const into = graph.output("logits", "f32", dims);
  decoder.head(graph, x, { precision: shape.precision ?? "exact", into });
}

/** Records steps that make a token of each sequence and feed it to the next one. */
export function recordDecode(graph: Graph, decoder: Decoder, sequences: number): void {
  const rows = sequences;
  const shape: LogitsShape = { rows, sequences, pages: 2, precision: "fast" };
  const { x, ids, positions } = recordForward(graph, decoder, shape);
  const params = graph.input("params", "f32", [rows, samplingColumns]);
  const history = graph.input("history", "i32", [rows, 128]);
  const lengths = graph.input("lengths", "i32", [rows]);
  const sampling = { params, history, lengths };
  const logits = decoder.head(graph, x, { precision: "fast", sampling });
  const probs = graph.one("sampling_probs", [logits, params, history, lengths]);
  const random = graph.input("random", "u32", [rows, 4]);
  const [token, next] = graph.apply("sample", [probs, random], {
    into: [undefined, undefined, history, lengths],
  }) as [Value, Value];
  graph.apply("emit", [token], { into: [graph.output("ring", "i32", [64, rows])] });
  const done = graph.input("done", "i32", [rows]);
  const stops = graph.input("stops", "i32", [rows, 4]);
  graph.feedback(graph.one("stop_when", [token, stops, done]), done);
  graph.feedback(next, random);
  const one = graph.input("one", "i32", [rows]);
  graph.feedback(graph.one("add", [positions, one]), positions);
  graph.feedback(token, ids);
}

function recordForward(
  graph: Graph,
  decoder: Decoder,
  shape: LogitsShape,
): { x: Value; ids: Value; positions: Value } {
  const { rows, sequences, pages, precision = "exact" } = shape;
  const { layerCount, groupCount, headWidth } = decoder.config;
  const cacheShape: CacheShape = {
    layerCount,
    groupCount,
    headWidth,
    pageCount: sequences * pages,
    dtype: precision === "exact" ? "f32" : "f16",
  };
  const places = {
    positions: graph.input("positions", "i32", [rows]),
    sequences: graph.input("sequences", "i32", [rows]),
    pages: graph.input("pages", "i32", [sequences, pages]),
  };
  const ids = graph.input("ids", "i32", [rows]);
  const cache = graph.state("cache", cacheSize(cacheShape));
  const x = decoder.forward(graph, { ids, places, cache, cacheShape });
  return { x, ids, positions: places.positions };
}
