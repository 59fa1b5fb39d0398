/**
 * Reductions over any axes. Kernels reduce the last axes, so the others are brought in front by a
 * view. Sums of f16 and bf16 are made in f32; bool and the small integers count in i32, which
 * wraps.
 */
import { BitNetError } from "../errors/index.ts";
import { isFloat, type Value } from "../graph/index.ts";
import type { OpName } from "../native/index.ts";
import { computeDType, type DType } from "./dtypes.ts";
import { binary, cast, compare, divide, select, unary } from "./elementwise.ts";
import { contiguous, permute, squeeze } from "./movement.ts";
import { pending } from "./pending.ts";
import {
  formatShape,
  isContiguous,
  normalizeAxes,
  normalizeAxis,
  type Shape,
  shapeOf,
  sizeOf,
} from "./shapes.ts";

export interface ReduceOptions {
  /** Every axis by default. */
  axes?: number | readonly number[];
  /** Reduced axes stay, with one element. */
  keepDims?: boolean;
}

/** A sum longer than this is made of the sums of its parts, which threads share. */
const partSize = 1 << 16;

/** Parts of a long vector: such as leave nothing over, where there are some about so large. */
function cut(count: number): { parts: number; size: number } {
  const least = Math.ceil(count / partSize);
  for (let parts = least; parts <= 2 * least; parts += 1) {
    if (count % parts === 0) return { parts, size: count / parts };
  }
  return { parts: least - 1, size: partSize };
}

/** sum, product, largest or smallest over the axes. */
export function reduced(op: OpName, x: Value, options: ReduceOptions = {}): Value {
  const axes = normalizeAxes(options.axes, x.dims.length);
  const compute = computeDType(x.dtype as DType);
  const dtype = isFloat(x.dtype) ? (x.dtype as DType) : "i32";
  const wide = cast(x, compute);
  const shape = shapeOf(x);
  const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const whole = kept.length === 0 && sizeOf(shape) > 2 * partSize && isContiguous(wide);
  const y = whole ? wholeReduced(op, wide) : overLast(op, permute(wide, [...kept, ...axes]), axes);
  return cast(options.keepDims ? withAxes(y, shape, axes) : y, dtype);
}

function overLast(op: OpName, x: Value, axes: Shape): Value {
  if (axes.length === 0) return x;
  return pending.apply(op, [x], { attrs: { axes: axes.length } })[0]!;
}

/** All of a long vector: equal parts side by side, then the parts and what is left over. */
function wholeReduced(op: OpName, x: Value): Value {
  const count = sizeOf(shapeOf(x));
  const { parts, size } = cut(count);
  const attrs = { axes: 1 };
  const rows = x.view({ dims: [parts, size], strides: [size, 1] });
  const sums = pending.apply(op, [rows], { attrs })[0]!;
  const total = pending.apply(op, [sums], { attrs })[0]!;
  if (parts * size === count) return total;
  const tail = x.view({ dims: [count], strides: [1] }).slice(0, parts * size, count - parts * size);
  const rest = pending.apply(op, [tail], { attrs })[0]!;
  return pending.apply(pairwise[op]!, [total, rest])[0]!;
}

/** How two results of a reduction become one. */
const pairwise: Partial<Record<OpName, OpName>> = {
  reduce_sum: "add",
  reduce_product: "mul",
  reduce_max: "maximum",
  reduce_min: "minimum",
};

/** The reduced axes back in their places, with one element each. */
function withAxes(y: Value, shape: Shape, axes: Shape): Value {
  const dims = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const strides: number[] = [];
  let own = 0;
  for (const axis of shape.keys()) strides.push(axes.includes(axis) ? 0 : y.strides[own++]!);
  return y.view({ dims, strides });
}

/** The sum over the number of elements; integers give f32. */
export function mean(x: Value, options: ReduceOptions = {}): Value {
  const dtype = isFloat(x.dtype) ? (x.dtype as DType) : "f32";
  const wide = cast(x, computeDType(dtype));
  const sum = reduced("reduce_sum", wide, options);
  return cast(divide(sum, countOf(x, options)), dtype);
}

export interface VarianceOptions extends ReduceOptions {
  /** What is taken from the count before dividing: 0 by default, 1 for a sample's variance. */
  correction?: number;
}

/** The mean square distance from the mean, in two passes. */
export function variance(x: Value, { correction = 0, ...options }: VarianceOptions = {}): Value {
  const dtype = isFloat(x.dtype) ? (x.dtype as DType) : "f32";
  const wide = cast(x, computeDType(dtype));
  const centre = mean(wide, { ...options, keepDims: true });
  const distance = binary("sub", wide, centre);
  const sum = reduced("reduce_sum", binary("mul", distance, distance), options);
  return cast(divide(sum, Math.max(0, countOf(x, options) - correction)), dtype);
}

/** log(sum(exp(x))), safe from overflow; of nothing but -inf it is -inf, with an inf it is inf. */
export function logSumExp(x: Value, options: ReduceOptions = {}): Value {
  const wide = isFloat(x.dtype) ? x : cast(x, "f32");
  const most = reduced("reduce_max", wide, { ...options, keepDims: true });
  // An infinity less itself is no number.
  const shift = select(compare("equal", binary("sub", most, most), 0), most, 0);
  const shares = unary("exp", binary("sub", wide, shift));
  const sum = reduced("reduce_sum", shares, { ...options, keepDims: true });
  const y = binary("add", unary("log", sum), shift);
  return options.keepDims ? y : squeeze(y, normalizeAxes(options.axes, x.dims.length));
}

/** Where the extreme lies: along one axis, or counted row by row over all elements. */
export function indexOfExtreme(op: "arg_max" | "arg_min", x: Value, axis?: number): Value {
  const wide = cast(x, computeDType(x.dtype as DType));
  if (sizeOf(shapeOf(x)) === 0) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `${op} of a tensor ${formatShape(shapeOf(x))}: there is no element`,
    );
  }
  if (axis === undefined) {
    const count = sizeOf(shapeOf(x));
    const flat = contiguous(wide).view({ dims: [count], strides: [1] });
    return count > 2 * partSize ? wholeExtreme(op, flat) : pending.apply(op, [flat])[0]!;
  }
  return pending.apply(op, [lastAxis(wide, axis)])[0]!;
}

/** Of a long vector: where each part has its extreme, which threads share, then which part. */
function wholeExtreme(op: OpName, x: Value): Value {
  const [count] = shapeOf(x) as [number];
  const { parts, size } = cut(count);
  const rows = x.view({ dims: [parts, size], strides: [size, 1] });
  const step = pending.number(size, "i32").broadcast([parts]);
  const ends = pending.apply("cumulative_sum", [step])[0]!;
  let places = binary("sub", ends, size);
  places = binary("add", places, pending.apply(op, [rows])[0]!);
  if (parts * size < count) {
    const tail = x.slice(0, parts * size, count - parts * size);
    const last = binary("add", pending.apply(op, [tail])[0]!, parts * size);
    const one = last.view({ dims: [1], strides: [1] });
    places = pending.apply("concat", [places, one], { attrs: { axis: 0 } })[0]!;
  }
  const extremes = pending.apply("take", [x, places])[0]!;
  const which = pending.apply(op, [extremes])[0]!.view({ dims: [1], strides: [1] });
  return pending.apply("take", [places, which])[0]!.view({ dims: [], strides: [] });
}

/** Running sums along an axis. */
export function cumulativeSum(x: Value, axis: number): Value {
  const dtype = isFloat(x.dtype) ? (x.dtype as DType) : "i32";
  const turned = lastAxis(cast(x, computeDType(dtype)), axis);
  const sums = pending.apply("cumulative_sum", [turned])[0]!;
  return cast(axisBack(sums, axis), dtype);
}

/** A view with the axis last. */
export function lastAxis(x: Value, axis: number): Value {
  const at = normalizeAxis(axis, x.dims.length);
  const others = x.dims.map((_, index) => index).filter((index) => index !== at);
  return permute(x, [...others, at]);
}

/** Undoes `lastAxis`. */
export function axisBack(x: Value, axis: number): Value {
  const at = normalizeAxis(axis, x.dims.length);
  const order = x.dims.map((_, index) => index).slice(0, -1);
  order.splice(at, 0, x.dims.length - 1);
  return permute(x, order);
}

function countOf(x: Value, { axes }: ReduceOptions): number {
  const shape = shapeOf(x);
  return normalizeAxes(axes, shape.length).reduce((count, axis) => count * shape[axis]!, 1);
}
