/**
 * A function of tensors as it is recorded and run: its inputs stand for themselves in a trace, a
 * Program is compiled of it, and each call binds the memory that the trace met.
 */
import { elementSizes, type Storage, Value } from "../graph/index.ts";
import { contiguous } from "./movement.ts";
import { pending } from "./pending.ts";
import { type Compiled, execute, settleTrace, type Trace } from "./run-trace.ts";
import { shapeOf, sizeOf } from "./shapes.ts";
import { Tensor } from "./tensor.ts";

/** A function that reads no elements: what it does must not depend on them. */
export type TensorFunction<Result extends Tensor | Tensor[]> = (...inputs: Tensor[]) => Result;

/** Dtype and extents of an input or a result. */
export type TensorShape = Pick<Value, "dtype" | "dims">;

/** A function recorded for inputs of certain shapes. */
export interface RecordedFunction {
  trace: Trace;
  /** What stands for the inputs among the leaves. */
  inputs: readonly Storage[];
  results: readonly TensorShape[];
  isList: boolean;
}

/** What a call binds. */
export interface Binding {
  /** Memory that a run reads: an input by its index, or what was met while recording. */
  leaves: readonly (number | Storage)[];
  /** Strides are those of the Program, which may lay results out for larger ones. */
  results: readonly (TensorShape & { strides: readonly number[] })[];
  isList: boolean;
  /** Values of the Program's symbols. */
  sizes?: Readonly<Record<string, number>>;
}

/** A Program, the shapes of its inputs as people read them, and what a call binds. */
export interface PreparedFunction {
  program: Compiled;
  inputs: readonly string[];
  binding: Binding;
}

const alignment = 64;

/** Records what the function does; runs nothing. */
export function recordFunction(
  of: TensorFunction<Tensor | Tensor[]>,
  shapes: readonly TensorShape[],
): RecordedFunction {
  const inputs: Storage[] = shapes.map(({ dtype, dims }, index) => {
    const size = Math.max(1, sizeOf(dims as number[])) * elementSizes[dtype];
    return { kind: "state", name: `input ${index}`, size };
  });
  let isList = false;
  const results: Value[] = [];
  const trace = pending.capture(() => {
    const given = shapes.map(
      ({ dtype, dims }, index) => new Tensor(new Value({ storage: inputs[index]!, dtype, dims })),
    );
    const made = of(...given);
    isList = Array.isArray(made);
    results.push(...[made].flat().map(({ value }) => value));
    return results;
  });
  settleTrace(trace);
  return { trace, inputs, results, isList };
}

/** Leaves as a call binds them. */
export function leavesOf({ leaves }: Trace, inputs: readonly Storage[]): (number | Storage)[] {
  return leaves.map((leaf) => {
    const index = inputs.indexOf(leaf);
    return index < 0 ? leaf : index;
  });
}

/** Runs the Program with these inputs, which lie as `rowOf` gives them. */
export function runFunction(
  program: Compiled,
  { leaves, results, isList, sizes }: Binding,
  rows: readonly Value[],
): Tensor | Tensor[] {
  const made = results.map(({ dtype, dims, strides }) => {
    const size = extentOf(dims as number[], strides) * elementSizes[dtype];
    const storage: Storage = { kind: "state", name: "result", size };
    return new Value({ storage, dtype, dims, strides });
  });
  const given = leaves.map((leaf) => {
    if (typeof leaf !== "number") {
      pending.require(leaf);
      return leaf;
    }
    const { storage, offset } = rows[leaf]!;
    return offset === 0 ? storage : { ...storage, base: storage.base! + offset };
  });
  try {
    execute(program, { leaves: given, roots: made.map(({ storage }) => storage), sizes });
  } finally {
    for (const [index, leaf] of leaves.entries()) {
      if (typeof leaf === "number") rows[leaf]!.storage.failure ??= given[index]!.failure;
    }
  }
  const tensors = made.map((value) => new Tensor(value));
  return isList ? tensors : tensors[0]!;
}

/** Elements from the first to behind the last of a value without negative strides. */
function extentOf(dims: readonly number[], strides: readonly number[]): number {
  if (dims.includes(0)) return 0;
  return dims.reduce((sum, extent, axis) => sum + (extent - 1) * strides[axis]!, 1);
}

/** The input row by row in computed memory that a Program can be bound to. */
export function rowOf(input: Tensor): Value {
  let row = contiguous(input.value);
  pending.require(row.storage);
  if (row.offset === 0) return row;
  if ((row.storage.base! + row.offset) % alignment !== 0) {
    row = pending.apply("copy", [row])[0]!;
    pending.require(row.storage);
  }
  return new Value({
    storage: row.storage,
    dtype: row.dtype,
    dims: shapeOf(row),
    offset: row.offset,
  });
}
