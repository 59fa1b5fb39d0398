/** A fixture model's forward pass as a graph of a test's own: any rows, any number of sequences. */
import { join } from "node:path";
import { openCheckpoint } from "../../src/checkpoint/index.ts";
import type { Dim, Graph, Sym } from "../../src/graph/index.ts";
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

/** Records logits of all rows; the state "cache" has pages for all sequences. */
export function recordLogits(graph: Graph, decoder: Decoder, shape: LogitsShape): void {
  const { rows, sequences, pages, precision = "exact" } = shape;
  const { layerCount, groupCount, headWidth, vocabularySize } = decoder.config;
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
  const dims: (Dim | Sym)[] = [rows, vocabularySize];
  decoder.head(graph, x, { precision, into: graph.output("logits", "f32", dims) });
}
