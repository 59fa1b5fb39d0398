/** An int8 head of given or random rows, as loading would leave it, and what it is asked with. */
import { type Graph, samplingColumns, type Value } from "../../src/graph/index.ts";
import type { Int8Head, SamplingState } from "../../src/models/index.ts";
import { type LayoutName, Region, SamplingColumn } from "../../src/native/index.ts";
import { packNibble4 } from "../../src/quant/index.ts";
import { bytesOf } from "./everywhere.ts";

export interface HeadShape {
  rows: number;
  columns: number;
}

export type OwnedHead = Int8Head & Disposable;

/** A head of these codes, (rows, columns), with one divisor for all rows. */
export function headOf(codes: Int8Array, { rows, columns }: HeadShape, divisor = 90): OwnedHead {
  const stack = new DisposableStack();
  const { high, low, centre, spread } = packNibble4(codes, rows, columns);
  const weight = (content: ArrayBufferView, layout: LayoutName = "strided") => {
    const region = stack.use(Region.create(content.byteLength));
    region.bytes().set(bytesOf(content));
    const packed = layout !== "strided";
    const dtype = packed ? ("u8" as const) : ("f32" as const);
    return { region, offset: 0, dtype, layout, shape: packed ? [rows, columns] : [rows] };
  };
  return {
    high: weight(high, "nibble4"),
    low: weight(low, "nibble4"),
    scales: weight(new Float32Array(rows).fill(divisor)),
    centre: weight(centre),
    spread: weight(spread),
    [Symbol.dispose]: () => stack[Symbol.dispose](),
  };
}

/** How one sequence draws. */
export interface Draw {
  temperature?: number;
  topK?: number;
  penalty?: number;
  ngram?: number;
  history?: readonly number[];
}

const places = 8;

/** Records the inputs that drawing goes by. */
export function drawingInputs(graph: Graph, sequences: number): SamplingState {
  return {
    params: graph.input("params", "f32", [sequences, samplingColumns]),
    history: graph.input("history", "i32", [sequences, places]),
    lengths: graph.input("lengths", "i32", [sequences]),
  };
}

/** Contents of those inputs. */
export function drawingContents(draws: readonly Draw[]): Record<string, ArrayBufferView> {
  const params = new Float32Array(draws.length * samplingColumns);
  const history = new Int32Array(draws.length * places);
  draws.forEach((draw, s) => {
    const row = params.subarray(s * samplingColumns);
    row[SamplingColumn.temperature] = draw.temperature ?? 0;
    row[SamplingColumn.top_k] = draw.topK ?? 0;
    row[SamplingColumn.repetition_penalty] = draw.penalty ?? 1;
    row[SamplingColumn.no_repeat_ngram] = draw.ngram ?? 0;
    history.set(draw.history ?? [], s * places);
  });
  const lengths = Int32Array.from(draws, ({ history: ids }) => ids?.length ?? 0);
  return { params, history, lengths };
}

/** Probabilities that the sampling kernel makes of logits by these settings. */
export function recordProbabilities(
  graph: Graph,
  logits: Value,
  { params, history, lengths }: SamplingState,
): Value {
  return graph.one("sampling_probs", [logits, params, history, lengths]);
}
