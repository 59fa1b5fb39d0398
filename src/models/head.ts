/**
 * The output head in int8, recorded on a graph: logits = normed . rows, from two planes of nibbles
 * (docs/formats/nibble4.md). Where it is known how tokens are drawn, the core screens: it reads the
 * high plane, and the low one of the rows that may win (zig/kernels/head_rule.zig).
 */
import type { Graph, Value, Weight } from "../graph/index.ts";
import type { WeightStore } from "./store.ts";

/** Rows of int8 codes as two planes, and what screening has to know of each row. */
export interface Int8Head {
  high: Weight;
  low: Weight;
  /** Divisor of each row. */
  scales: Weight;
  /** Mean of a row's low nibbles, and their standard deviation. */
  centre: Weight;
  spread: Weight;
}

/** What tokens are drawn by, one row a sequence. */
export interface SamplingState {
  /** f32 (sequences, columns). */
  params: Value;
  /** i32 (sequences, places). */
  history: Value;
  /** i32 (sequences). */
  lengths: Value;
}

export interface Int8HeadOptions {
  /** Of the rows, which are sequences then; without it all logits are made. */
  sampling?: SamplingState | undefined;
  /** Where the logits go. */
  into?: Value | undefined;
}

/** Memory of a store for a head of this shape; `storeSize` counts it. */
export function allocateInt8Head(store: WeightStore, shape: readonly number[]): Int8Head {
  const plane = (): Weight => store.allocate(shape, "u8", "nibble4");
  const vector = (): Weight => store.allocate([shape[0]!], "f32");
  return {
    high: plane(),
    low: plane(),
    scales: vector(),
    centre: vector(),
    spread: vector(),
  };
}

/**
 * Logits of rows after the final norm, f32 (rows, vocabulary). With `sampling`, those that it
 * cannot draw may be -infinity; the others are the same bits as without it.
 */
export function recordInt8Head(
  graph: Graph,
  normed: Value,
  options: Int8HeadOptions & { head: Int8Head },
): Value {
  const { head, sampling, into } = options;
  const levels = headLevels(head.high.shape[1]!);
  const [x, a] = graph.apply("quantize_rows", [normed], { attrs: { levels } }) as [Value, Value];
  const [high, low, scales] = [head.high, head.low, head.scales].map((w) => graph.constant(w)) as [
    Value,
    Value,
    Value,
  ];
  if (!sampling) return graph.one("int8_matmul", [x, a, high, low, scales], { into: [into] });
  const rows = [graph.constant(head.centre), graph.constant(head.spread)];
  const state = [sampling.params, sampling.history, sampling.lengths];
  const screened = graph.apply("head_screen", [x, a, high, scales, ...rows, ...state]);
  const operands = [x, a, high, low, scales, ...rows, ...screened, ...state];
  return graph.one("head_refine", operands, { into: [into] });
}

/**
 * The finest activations whose products with int8 weights surely fit an int32 sum, and whose upper
 * byte fits a signed one.
 */
function headLevels(width: number): number {
  return Math.min(32_639, Math.floor((2 ** 31 - 1) / (128 * width)) - 1);
}
