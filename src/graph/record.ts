/**
 * Instructions as they are recorded: an op, the values it reads and makes, its attributes. Nothing
 * runs; a graph collects nodes, and so does whoever holds tensors.
 */
import type { DTypeName, OpName } from "../native/index.ts";
import { type OutputShape, opTable } from "./ops.ts";
import { type Attrs, type Node, type Storage, sizeAtMax, Value } from "./value.ts";

/** A value that becomes another one's content before the next step. */
export interface FeedbackLink {
  from: Value;
  to: Value;
}

/** What a Program is compiled of. */
export interface Recorded {
  readonly nodes: readonly Node[];
  readonly feedbacks: readonly FeedbackLink[];
  /** Storages that a run fills, binds or reads, by name. */
  readonly storages: ReadonlyMap<string, Storage>;
}

/** Whoever takes instructions: a graph, or what tensors have pending. */
export interface Recorder {
  apply(op: OpName, inputs: readonly Value[], options?: ApplyOptions): Value[];
  /** A number as a value without dimensions. */
  number(value: number, dtype: "f32" | "f64" | "i32"): Value;
}

export interface ApplyOptions {
  attrs?: Attrs;
  /** Where to write, by output; undefined lets the compiler place it. */
  into?: readonly (Value | undefined)[];
  /** The first output's dtype, for ops that leave it free, as `copy` does. */
  dtype?: DTypeName;
  /** The first output's shape, for ops that leave it free, as `place` does. */
  shape?: OutputShape;
  predicate?: Value;
  commit?: boolean;
}

/** An instruction with outputs of the shapes that the op table says. */
export function record(op: OpName, inputs: readonly Value[], options: ApplyOptions = {}): Node {
  const { attrs = {}, into, predicate, commit = false } = options;
  const outputs = opTable[op].outputs(inputs, attrs).map((own, index) => {
    const given = into?.[index];
    if (given) return given;
    const shape = own ?? (index === 0 ? options.shape : undefined) ?? null;
    if (shape === null) throw new Error(`${op}: output ${index} must be given`);
    const dtype = (index === 0 && options.dtype) || shape.dtype;
    const size = sizeAtMax(dtype, shape.dims);
    return new Value({ storage: { kind: "arena", name: op, size }, dtype, dims: shape.dims });
  });
  const node = { op, inputs: [...inputs], outputs, attrs, predicate, commit };
  for (const { storage } of outputs) if (storage.kind === "arena") storage.producer = node;
  return node;
}
