/**
 * Functions of several tensors, or of one and an index, under the names that NumPy and PyTorch
 * have for them. They record; `sort`, `take` and the others run when their results are read.
 */
import { BitNetError } from "../errors/index.ts";
import { select } from "./elementwise.ts";
import * as gathering from "./gathering.ts";
import type { PadWidths } from "./joining.ts";
import * as joining from "./joining.ts";
import { normalizeAxis } from "./shapes.ts";
import { type Sorted, type SortOptions, sorted, type TopOptions, top } from "./sorting.ts";
import { Tensor, type TensorOperand } from "./tensor.ts";

/** Whole numbers that name places along an axis, below 0 from its end. */
export type IndexList = Tensor | readonly number[] | Int32Array;

/** One behind the other along an axis; dtypes are promoted. @throws `tensor/shape-mismatch` */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  return new Tensor(joining.concat(valuesOf(tensors), axis));
}

/** Side by side along a new axis of the result. @throws `tensor/shape-mismatch` */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return new Tensor(joining.stack(valuesOf(tensors), axis));
}

/**
 * Views of parts of an axis: so many equal ones, or parts of the sizes listed.
 * @throws BitNetError `tensor/shape-mismatch` where they do not make up the axis
 */
export function split(x: Tensor, parts: number | readonly number[], axis = 0): Tensor[] {
  const at = normalizeAxis(axis, x.rank);
  const extent = x.shape[at]!;
  const sizes = typeof parts === "number" ? equalParts(extent, parts) : parts;
  const isSound = sizes.every((size) => Number.isInteger(size) && size >= 0);
  if (!isSound || sizes.reduce((sum, size) => sum + size, 0) !== extent) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `${extent} elements along axis ${at} cannot be split into ${JSON.stringify(parts)}` +
        (typeof parts === "number" ? " equal parts" : ""),
    );
  }
  let start = 0;
  return sizes.map((size) => {
    const range = `${start}:${start + size}`;
    start += size;
    return alongAxis(x, at, range);
  });
}

function equalParts(extent: number, count: number): number[] {
  if (!Number.isInteger(count) || count < 1 || extent % count !== 0) return [-1];
  return new Array<number>(count).fill(extent / count);
}

/** A view with an axis in reverse order, or all of them. */
export function flip(x: Tensor, axis?: number): Tensor {
  if (axis === undefined) return x.at(...x.shape.map(() => "::-1"));
  return alongAxis(x, normalizeAxis(axis, x.rank), "::-1");
}

function alongAxis(x: Tensor, axis: number, range: string): Tensor {
  return x.at(...new Array<string>(axis).fill(":"), range);
}

/** Moved along an axis; what leaves at one end comes back at the other. */
export function roll(x: Tensor, shift: number, axis = 0): Tensor {
  return new Tensor(joining.roll(x.value, shift, axis));
}

/**
 * A number around the tensor: so many elements on every side, or in front and behind of each axis.
 * @throws BitNetError `tensor/bad-shape`
 */
export function pad(x: Tensor, widths: number | readonly PadWidths[], value = 0): Tensor {
  const each = typeof widths === "number" ? x.shape.map((): PadWidths => [widths, widths]) : widths;
  return new Tensor(joining.pad(x.value, each, value));
}

/** Each element along an axis so many times in a row; without an axis, of all row by row. */
export function repeat(x: Tensor, count: number, axis?: number): Tensor {
  const from = axis === undefined ? x.reshape(-1) : x;
  return new Tensor(joining.repeat(from.value, count, axis ?? 0));
}

/** The whole tensor so many times along each axis, as NumPy's `tile`. */
export function tile(x: Tensor, counts: readonly number[]): Tensor {
  return new Tensor(joining.tile(x.value, counts));
}

/** a where the condition is not 0, else b; all three are broadcast. */
export function where(condition: Tensor, a: TensorOperand, b: TensorOperand): Tensor {
  return new Tensor(select(condition.value, operandOf(a), operandOf(b)));
}

/**
 * Slices along an axis by their index, which may have any shape: NumPy's `take`.
 * @throws BitNetError `tensor/index-out-of-range` for lists; for tensors reading the result throws
 * `native/run-failed`
 */
export function take(x: Tensor, index: IndexList, axis = 0): Tensor {
  return new Tensor(gathering.take(x.value, placesOf(index), axis));
}

/** y[i, j] = x[index[i, j], j] along axis 0, and so for others: PyTorch's `gather`. */
export function gather(x: Tensor, axis: number, index: Tensor): Tensor {
  return new Tensor(gathering.gather(x.value, axis, index.value));
}

/** Where and what `scatter` and `scatterAdd` write. */
export interface ScatterOptions {
  axis: number;
  /** With as many dimensions as the tensor. */
  index: Tensor;
  /** Of the index's shape, or what broadcasts to it. */
  source: Tensor;
}

/**
 * A copy with y[index[i, j], j] = source[i, j] along axis 0, and so for others. Where one place is
 * named more than once, the last one in row-major order is written.
 */
export function scatter(x: Tensor, { axis, index, source }: ScatterOptions): Tensor {
  const what = { axis, index: index.value, source: source.value };
  return new Tensor(gathering.scatter(x.value, what));
}

/** As `scatter`, but adding, in the order of the source: the same bits on any thread count. */
export function scatterAdd(x: Tensor, { axis, index, source }: ScatterOptions): Tensor {
  const what = { axis, index: index.value, source: source.value };
  return new Tensor(gathering.scatterAdd(x.value, what));
}

/** The indices of elements that are not 0, one row each; computes them. */
export function nonzero(x: Tensor): Tensor {
  const places = gathering.nonzero(x.ne(0).value);
  const columns = places.map((list) => new Tensor(gathering.listed(list)));
  return columns.length > 0 ? stack(columns, 1) : new Tensor(gathering.listed([])).reshape(0, 0);
}

/** In rising order along an axis, or falling; equal elements keep their order, NaN comes last. */
export function sort(x: Tensor, options: SortOptions = {}): Tensor {
  return new Tensor(sorted(x.value, options).values);
}

/** The indices (i32) that sort an axis. */
export function argsort(x: Tensor, options: SortOptions = {}): Tensor {
  return new Tensor(sorted(x.value, options).indices);
}

/**
 * The largest (or smallest) elements along an axis, in order, and where they stood.
 * @throws BitNetError `tensor/index-out-of-range`
 */
export function topk(x: Tensor, count: number, options: TopOptions = {}): Sorted<Tensor> {
  const { values, indices } = top(x.value, count, options);
  return { values: new Tensor(values), indices: new Tensor(indices) };
}

function operandOf(x: TensorOperand) {
  return typeof x === "number" ? x : x.value;
}

function placesOf(index: IndexList): gathering.Places {
  return index instanceof Tensor ? index.value : index;
}

function valuesOf(tensors: readonly Tensor[]) {
  return tensors.map((one) => one.value);
}
