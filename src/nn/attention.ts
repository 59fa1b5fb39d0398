/**
 * Attention over the paged cache of keys and values. Each layer has pages of 64 positions; a
 * sequence's row of the page table says which pages hold its positions, in order.
 */
import type { Dim, Graph, Storage, Value } from "../graph/index.ts";
import { elementSizes } from "../graph/index.ts";
import { pagePositions } from "../native/index.ts";

export interface CacheShape {
  layerCount: number;
  pageCount: number;
  groupCount: number;
  headWidth: number;
  dtype: "f32" | "f16";
}

/** Bytes of the keys, or of the values, of one layer. */
function layerSize({ pageCount, groupCount, headWidth, dtype }: CacheShape): number {
  return pageCount * groupCount * headWidth * pagePositions * elementSizes[dtype];
}

/** Bytes of the whole cache. */
export function cacheSize(shape: CacheShape): number {
  return 2 * shape.layerCount * layerSize(shape);
}

/** Where pages `first` to before `end` of every layer's keys and values lie in the cache. */
export function cachePages(
  shape: CacheShape,
  first: number,
  end: number,
): { offset: number; size: number }[] {
  const size = layerSize(shape);
  const pageSize = size / shape.pageCount;
  return Array.from({ length: 2 * shape.layerCount }, (_, part) => ({
    offset: part * size + first * pageSize,
    size: (end - first) * pageSize,
  }));
}

/** Keys (pages, groups, width, positions) and values (pages, groups, positions, width). */
export function cacheOfLayer(
  graph: Graph,
  storage: Storage,
  { layer, shape }: { layer: number; shape: CacheShape },
): [keys: Value, values: Value] {
  const { pageCount, groupCount, headWidth, dtype } = shape;
  const size = layerSize(shape);
  const dims = (a: number, b: number): Dim[] => [pageCount, groupCount, a, b];
  return [
    graph.stateValue(storage, {
      dtype,
      dims: dims(headWidth, pagePositions),
      offset: 2 * layer * size,
    }),
    graph.stateValue(storage, {
      dtype,
      dims: dims(pagePositions, headWidth),
      offset: (2 * layer + 1) * size,
    }),
  ];
}

/** Where each row of a step stands: i32 (rows), (rows) and the page table (sequences, pages). */
export interface Places {
  positions: Value;
  sequences: Value;
  pages: Value;
}

export interface AttentionInput {
  /** f32 (rows, heads, width) and (rows, groups, width). */
  q: Value;
  k: Value;
  v: Value;
  /** f32 (rows, width / 2). */
  cos: Value;
  sin: Value;
  cache: [keys: Value, values: Value];
  places: Places;
}

/** Rotates, writes keys and values into the cache, and attends to all positions up to its own. */
export function attend(graph: Graph, input: AttentionInput): Value {
  const { q, k, v, cos, sin, cache } = input;
  const { positions, sequences, pages } = input.places;
  const turned = graph.one("rope", [q, cos, sin]);
  const turnedKeys = graph.one("rope", [k, cos, sin]);
  graph.apply("kv_write", [turnedKeys, v, positions, sequences, pages], { into: cache });
  const width = q.dims[2] as number;
  const y = graph.one("attention", [turned, ...cache, positions, sequences, pages], {
    attrs: { scale: Math.fround(1 / Math.sqrt(width)) },
  });
  return y.mergeLast();
}
