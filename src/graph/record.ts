/**
 * Instructions as they are recorded: an op, the values it reads and makes, its attributes. Nothing
 * runs; a graph collects nodes, and so does whoever holds tensors.
 */
import type { DTypeName, OpName } from "../native/index.ts";
import { type OutputShape, opTable } from "./ops.ts";
import { type Attrs, type Node, packedSizeAtMax, type Storage, sizeAtMax, Value } from "./value.ts";

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
  const { attrs = noAttrs, into, predicate, commit = false } = options;
  const outputs: Value[] = [];
  const node: Node = { op, inputs: inputs.slice(), outputs, attrs, predicate, commit };
  const shapes = opTable[op].outputs(inputs, attrs);
  for (let index = 0; index < shapes.length; index += 1) {
    outputs.push(into?.[index] ?? made(node, shapes[index]!, index === 0 ? options : noOptions));
  }
  return node;
}

const noAttrs: Attrs = {};
const noOptions: ApplyOptions = {};

/** An output that the compiler places. */
function made(node: Node, own: OutputShape | null, options: ApplyOptions): Value {
  const shape = own ?? options.shape;
  if (!shape) throw new Error(`${node.op}: output ${node.outputs.length} must be given`);
  const { dims, layout = "strided" } = shape;
  const dtype = options.dtype ?? shape.dtype;
  const size = layout === "strided" ? sizeAtMax(dtype, dims) : packedSizeAtMax(layout, dims);
  const storage: Storage = { kind: "arena", name: node.op, size, producer: node };
  return new Value({ storage, dtype, layout, dims });
}
