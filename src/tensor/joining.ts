/**
 * Tensors side by side: joined, padded, repeated. Parts are copied to their places in one pass;
 * what is padded is placed in zeros. Bits are kept, in every dtype.
 */
import { BitNetError } from "../errors/index.ts";
import { rowMajor, type Value } from "../graph/index.ts";
import { computeDType, type DType, promote } from "./dtypes.ts";
import { cast } from "./elementwise.ts";
import { part, reshape, unsqueeze } from "./movement.ts";
import { pending } from "./pending.ts";
import {
  formatShape,
  normalizeAxis,
  rankMax,
  requireShape,
  type Shape,
  sameShape,
  shapeOf,
  sizeOf,
} from "./shapes.ts";

/** Elements added in front of and behind an axis. */
export type PadWidths = readonly [before: number, after: number];

/** Zeros of this shape but for `x`, whose first element lies at the index `start`. */
function placed(x: Value, shape: Shape, start: Shape): Value {
  const strides = rowMajor(shape);
  const offset = start.reduce((sum, index, axis) => sum + index * strides[axis]!, 0);
  const attrs: Record<string, number> = { offset: sizeOf(shapeOf(x)) > 0 ? offset : 0 };
  for (let axis = 0; axis < rankMax; axis += 1) attrs[`stride_${axis}`] = strides[axis] ?? 0;
  return pending.apply("place", [x], { attrs, shape: { dtype: x.dtype, dims: shape } })[0]!;
}

/**
 * One behind the other along an axis.
 * @throws BitNetError `tensor/shape-mismatch` with both shapes
 */
export function concat(parts: readonly Value[], axis: number): Value {
  const first = requireSome(parts, "concat");
  const at = normalizeAxis(axis, first.dims.length);
  const dtype = parts.map((one) => one.dtype as DType).reduce(promote);
  for (const one of parts) requireAlike(first, one, at);
  let level = parts.map((one) => cast(one, dtype)).filter((one) => shapeOf(one)[at]! > 0);
  requireShape(withExtent(first, at, sum(level.map((one) => shapeOf(one)[at]!))));
  while (level.length > 1) {
    const next: Value[] = [];
    for (let index = 0; index < level.length; index += partsMax) {
      next.push(joined(level.slice(index, index + partsMax), at));
    }
    level = next;
  }
  return level[0] ?? cast(first, dtype);
}

/** Of one instruction. */
const partsMax = 128;

function joined(parts: readonly Value[], axis: number): Value {
  return parts.length === 1 ? parts[0]! : pending.apply("concat", parts, { attrs: { axis } })[0]!;
}

/** Along a new axis, at its place in the result. */
export function stack(parts: readonly Value[], axis: number): Value {
  const first = requireSome(parts, "stack");
  const at = normalizeAxis(axis, first.dims.length + 1);
  for (const one of parts) requireAlike(first, one, -1);
  return concat(
    parts.map((one) => unsqueeze(one, at)),
    at,
  );
}

function withExtent(x: Value, axis: number, extent: number): Shape {
  return shapeOf(x).map((own, at) => (at === axis ? extent : own));
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, count) => all + count, 0);
}

function truth(shape: Shape): Value {
  return cast(pending.number(1, "i32"), "bool").broadcast(shape);
}

/** A number around the tensor. @throws BitNetError `tensor/bad-shape` for widths that are none */
export function pad(x: Value, widths: readonly PadWidths[], value: number): Value {
  const from = shapeOf(x);
  if (widths.length !== from.length || widths.flat().some((width) => width < 0)) {
    throw new BitNetError(
      "tensor/bad-shape",
      `pad of a tensor ${formatShape(from)}: want two counts for each of its ${from.length} ` +
        `axes, got ${JSON.stringify(widths)}`,
    );
  }
  const shape = requireShape(
    from.map((extent, axis) => extent + widths[axis]![0] + widths[axis]![1]),
  );
  if (sameShape(shape, from)) return x;
  const start = widths.map(([before]) => before);
  const inside = placed(x, shape, start);
  if (value === 0) return inside;
  const dtype = x.dtype as DType;
  const around = cast(pending.number(value, computeDType(dtype)), dtype).broadcast(shape);
  return pending.apply("select", [placed(truth(from), shape, start), inside, around])[0]!;
}

/** Each element along the axis `count` times in a row. */
export function repeat(x: Value, count: number, axis: number): Value {
  return again(x, { axis, count, each: true });
}

/** The whole, `counts[axis]` times along each axis; missing leading counts or axes are 1. */
export function tile(x: Value, counts: readonly number[]): Value {
  const rank = Math.max(counts.length, x.dims.length);
  const ones = new Array<number>(rank - x.dims.length).fill(1);
  let y = reshape(x, [...ones, ...shapeOf(x)]);
  for (const [index, count] of counts.entries()) {
    y = again(y, { axis: rank - counts.length + index, count, each: false });
  }
  return y;
}

interface Repeats {
  axis: number;
  count: number;
  /** Each element in a row, instead of the whole. */
  each: boolean;
}

function again(x: Value, { axis, count, each }: Repeats): Value {
  const shape = shapeOf(x);
  const at = normalizeAxis(axis, shape.length);
  const result = requireShape(shape.map((own, index) => (index === at ? own * count : own)));
  if (count === 1) return x;
  const before = sizeOf(shape.slice(0, each ? at + 1 : at));
  const rest = sizeOf(shape) === 0 ? 0 : sizeOf(shape) / before;
  const once = reshape(x, [before, 1, rest]);
  return reshape(once.broadcast([before, count, rest]), result);
}

/** Moved along an axis by `shift` places; what leaves at one end comes back at the other. */
export function roll(x: Value, shift: number, axis: number): Value {
  const at = normalizeAxis(axis, x.dims.length);
  const extent = shapeOf(x)[at]!;
  const behind = extent === 0 ? 0 : (((-shift % extent) + extent) % extent) + 0;
  if (!Number.isInteger(shift)) {
    throw new BitNetError("tensor/bad-index", `roll by ${shift}: want a whole number of places`);
  }
  if (behind === 0) return x;
  const last = part(x, at, { start: behind, count: extent - behind, step: 1 });
  return concat([last, part(x, at, { start: 0, count: behind, step: 1 })], at);
}

function requireSome(parts: readonly Value[], what: string): Value {
  const [first] = parts;
  if (first) return first;
  throw new BitNetError("tensor/shape-mismatch", `${what} of no tensors: want at least one`);
}

/** Equal extents but for one axis. */
function requireAlike(a: Value, b: Value, axis: number): void {
  const [left, right] = [shapeOf(a), shapeOf(b)];
  const fits =
    left.length === right.length && left.every((n, at) => at === axis || n === right[at]);
  if (fits) return;
  throw new BitNetError(
    "tensor/shape-mismatch",
    `${formatShape(left)} and ${formatShape(right)} cannot be joined: want equal extents` +
      (axis < 0 ? "" : ` but for axis ${axis}`),
  );
}
