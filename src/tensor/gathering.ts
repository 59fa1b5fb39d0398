/**
 * Elements picked and written by index: whole slices along one axis (`take`), single elements
 * (`gather`, `scatter`), and the lists of places that a mask means. Negative indices count from
 * the end. Indices given as lists are checked at once; those in tensors when they are read, by the
 * instruction that uses them: the run fails.
 */
import { BitNetError } from "../errors/index.ts";
import { isFloat, rowMajor, type Value } from "../graph/index.ts";
import { computeDType, type DType, promote } from "./dtypes.ts";
import { binary, cast, compare, select } from "./elementwise.ts";
import { concat } from "./joining.ts";
import { contiguous, permute, reshape } from "./movement.ts";
import { pending } from "./pending.ts";
import { elementsOf, filled } from "./read.ts";
import {
  broadcastShapes,
  formatShape,
  normalizeAxis,
  requireShape,
  type Shape,
  shapeOf,
  sizeOf,
} from "./shapes.ts";

/** Indices as a list, or as a value of whole numbers. */
export type Places = Value | readonly number[] | Int32Array;

/** An index that no axis has. */
const nowhere = -(2 ** 31);

/** @throws BitNetError `tensor/bad-dtype`, `tensor/index-out-of-range`; `extent` is the axis's. */
export function placesOf(places: Places, extent: number): Value {
  if (!Array.isArray(places) && !(places instanceof Int32Array)) {
    const value = places as Value;
    if (!isFloat(value.dtype) && value.dtype !== "bool") return cast(value, "i32");
    throw new BitNetError(
      "tensor/bad-dtype",
      `an index of ${value.dtype}: want whole numbers (i32, i8, u8)` +
        (value.dtype === "bool" ? "; at() and mask() take bools" : ""),
    );
  }
  for (const index of places) {
    if (Number.isInteger(index) && index >= -extent && index < extent) continue;
    throw new BitNetError(
      "tensor/index-out-of-range",
      `index ${index} of an axis with ${extent} elements: want ${-extent} to ${extent - 1}`,
    );
  }
  return listed(places);
}

/** A list of whole numbers as a value. */
export function listed(places: readonly number[] | Int32Array): Value {
  return filled([places.length], "i32", (elements) => elements.set(places));
}

/** Slices along an axis, which becomes the index's axes. */
export function take(x: Value, places: Places, axis: number): Value {
  const at = normalizeAxis(axis, x.dims.length);
  return takeAt(x, [{ axis: at, places }], at);
}

/** An index along one axis. */
export interface AxisPlaces {
  axis: number;
  places: Places;
}

/** Several axes indexed together; the axes of the broadcast indices stand at `at`. */
export function takeAt(x: Value, lists: readonly AxisPlaces[], at: number): Value {
  const shape = shapeOf(x);
  const axes = lists.map(({ axis }) => axis);
  const others = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const indices = lists.map(({ axis, places }) => placesOf(places, shape[axis]!));
  const common = indices.map(shapeOf).reduce(broadcastShapes);
  const extents = axes.map((axis) => shape[axis]!);
  const kept = others.map((axis) => shape[axis]!);
  const result = requireShape([...common, ...kept]);
  const rows = reshape(permute(x, [...axes, ...others]), [sizeOf(extents), ...kept]);
  const index = indices.length === 1 ? indices[0]! : combined(indices, extents);
  const flat = reshape(index.broadcast(common), [sizeOf(common)]);
  const y = reshape(pending.apply("take", [rows, flat])[0]!, result);
  const order = result.map((_, axis) => axis);
  return permute(y, [
    ...order.slice(common.length, common.length + at),
    ...order.slice(0, common.length),
    ...order.slice(common.length + at),
  ]);
}

/** Indices into several axes as one into all of them, counted row by row. */
function combined(indices: readonly Value[], extents: Shape): Value {
  requireCountable(extents);
  const strides = rowMajor(extents);
  let sum: Value | undefined;
  let inside: Value | undefined;
  for (const [axis, index] of indices.entries()) {
    const own = counted(index, extents[axis]!);
    const steps = binary("mul", own.index, strides[axis]!);
    sum = sum ? binary("add", sum, steps) : steps;
    inside = inside ? binary("mul", inside, own.inside) : own.inside;
  }
  return select(inside!, sum!, nowhere);
}

/** The index from the front, and whether the axis has it (0 or 1). */
function counted(index: Value, extent: number): { index: Value; inside: Value } {
  const front = select(compare("less", index, 0), binary("add", index, extent), index);
  const low = compare("less_equal", 0, front);
  const high = compare("less", front, extent);
  return { index: front, inside: binary("mul", cast(low, "i32"), cast(high, "i32")) };
}

/** y[i, j, k] = x[index[i, j, k], j, k] for the first axis, and so for any other. */
export function gather(x: Value, axis: number, index: Value): Value {
  const places = flatPlaces(x, axis, index);
  const y = pending.apply("take", [flattened(x), places])[0]!;
  return reshape(y, shapeOf(index));
}

/** What is written where, and how. */
export interface Scattered {
  axis: number;
  index: Value;
  source: Value;
}

/** x with y[index[i, j, k], j, k] = source[i, j, k]; of several for one place the last one. */
export function scatter(x: Value, { axis, index, source }: Scattered): Value {
  const spread = spreadOver(source, index);
  const places = flatPlaces(x, axis, index);
  const count = sizeOf(shapeOf(index));
  if (count === 0) return x;
  const from = flattened(cast(spread, x.dtype as DType));
  // Sorted, equal places stand together in the order of the source: the last of a run counts.
  const [sorted, order, spare] = pending.apply("sort", [places], { attrs: { descending: false } });
  pending.release(spare!.storage);
  const next = sorted!.slice(0, 1, count - 1);
  const changes = cast(compare("not_equal", sorted!.slice(0, 0, count - 1), next), "i32");
  const one = pending.number(1, "i32").broadcast([1]);
  const isLast = count === 1 ? one : concat([changes, one], 0);
  const writer = binary("mul", isLast, binary("add", order!, 1));
  const zeros = pending.number(0, "i32").broadcast([sizeOf(shapeOf(x))]);
  const writers = pending.apply("scatter_add", [zeros, sorted!, writer])[0]!;
  const taken = pending.apply("take", [from, binary("maximum", binary("sub", writers, 1), 0)])[0]!;
  const y = pending.apply("select", [compare("less", 0, writers), taken, flattened(x)])[0]!;
  return reshape(y, shapeOf(x));
}

/** x with y[index[i, j, k], j, k] += source[i, j, k], in the order of the source. */
export function scatterAdd(x: Value, { axis, index, source }: Scattered): Value {
  const dtype = promote(x.dtype as DType, source.dtype as DType);
  const compute = computeDType(dtype);
  const spread = spreadOver(source, index);
  const places = flatPlaces(x, axis, index);
  const added = flattened(cast(spread, compute));
  const y = pending.apply("scatter_add", [flattened(cast(x, compute)), places, added])[0]!;
  return cast(reshape(y, shapeOf(x)), dtype);
}

/** Which elements of x, counted row by row, an index along an axis means. */
function flatPlaces(x: Value, axis: number, index: Value): Value {
  const shape = shapeOf(x);
  const at = normalizeAxis(axis, shape.length);
  const own = shapeOf(index);
  const fits = own.length === shape.length && own.every((n, i) => i === at || n <= shape[i]!);
  if (!fits) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `an index ${formatShape(own)} along axis ${at} of ${formatShape(shape)}: want as many ` +
        "dimensions, and no other axis longer",
    );
  }
  requireCountable(shape);
  const strides = rowMajor(shape);
  const { index: front, inside } = counted(placesOf(index, shape[at]!), shape[at]!);
  let sum = binary("mul", front, strides[at]!);
  for (const [other, extent] of own.entries()) {
    if (other === at || extent === 1) continue;
    const steps = binary("mul", iota(extent), strides[other]!);
    const dims = own.map((_, i) => (i === other ? extent : 1));
    sum = binary("add", sum, reshape(steps, dims));
  }
  return reshape(select(inside, sum, nowhere), [sizeOf(own)]);
}

/** 0, 1, 2, ... in i32. */
function iota(count: number): Value {
  const ones = pending.number(1, "i32").broadcast([count]);
  return binary("sub", pending.apply("cumulative_sum", [ones])[0]!, 1);
}

function flattened(x: Value): Value {
  return contiguous(x).view({ dims: [sizeOf(shapeOf(x))], strides: [1] });
}

function spreadOver(source: Value, index: Value): Value {
  const [from, to] = [shapeOf(source), shapeOf(index)];
  if (from.length > to.length || broadcastShapes(from, to).some((n, i) => n !== to[i])) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `a source ${formatShape(from)} does not broadcast to its index ${formatShape(to)}`,
    );
  }
  return source.broadcast(to);
}

function requireCountable(shape: Shape): void {
  if (sizeOf(shape) < 2 ** 31) return;
  throw new BitNetError(
    "tensor/bad-shape",
    `${formatShape(shape)} has ${sizeOf(shape)} elements: want fewer than 2^31 to index them`,
  );
}

/** For each axis of a mask where its true elements lie, row by row. Computes the mask. */
export function nonzero(mask: Value): Int32Array[] {
  const shape = shapeOf(mask);
  const elements = elementsOf(mask);
  let count = 0;
  for (const element of elements) if (element !== 0) count += 1;
  const places = shape.map(() => new Int32Array(count));
  const strides = rowMajor(shape);
  let found = 0;
  for (const [index, element] of elements.entries()) {
    if (element === 0) continue;
    for (const [axis, stride] of strides.entries()) {
      places[axis]![found] = Math.floor(index / stride) % shape[axis]!;
    }
    found += 1;
  }
  return places;
}
