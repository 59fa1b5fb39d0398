/**
 * Shapes over the same memory: reshape, permute, slice, expand. A view costs nothing and sees what
 * is written to its tensor; only a reshape of what does not lie row by row makes a copy.
 */
import { BitNetError } from "../errors/index.ts";
import { elementSizes, rowMajor, type Value } from "../graph/index.ts";
import { pending } from "./pending.ts";
import {
  formatShape,
  isContiguous,
  normalizeAxes,
  normalizeAxis,
  requireShape,
  type Shape,
  shapeOf,
  sizeOf,
} from "./shapes.ts";

/** The value row by row without gaps; itself where it lies so. */
export function contiguous(x: Value): Value {
  return isContiguous(x) ? x : pending.apply("copy", [x])[0]!;
}

/** `contiguous` whose strides say so, also along axes of one element: what ops of rows want. */
export function compact(x: Value): Value {
  const { dims } = x;
  return contiguous(x).view({ dims, strides: rowMajor(dims) });
}

/**
 * The same elements by other extents; one of them may be -1 and is found.
 * @throws BitNetError `tensor/shape-mismatch`
 */
export function reshape(x: Value, shape: Shape): Value {
  const from = shapeOf(x);
  const to = requireShape(fillIn(from, shape));
  if (sizeOf(from) !== sizeOf(to)) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `${formatShape(from)} cannot become ${formatShape(shape)}: it has ${sizeOf(from)} elements, ` +
        `not ${sizeOf(to)}`,
    );
  }
  const strides = stridesOfReshape(x, to);
  if (strides) return x.view({ dims: to, strides });
  return contiguous(x).view({ dims: to, strides: rowMajor(to) });
}

/**
 * The same memory by other extents.
 * @throws BitNetError `tensor/shape-mismatch`, `tensor/needs-copy`
 */
export function viewed(x: Value, shape: Shape): Value {
  const y = reshape(x, shape);
  if (y.storage === x.storage) return y;
  throw new BitNetError(
    "tensor/needs-copy",
    `${formatShape(shapeOf(x))} with strides ${formatShape(x.strides)} does not read as ` +
      `${formatShape(shape)} where it lies: reshape() copies it`,
  );
}

function fillIn(from: Shape, shape: Shape): Shape {
  const open = shape.indexOf(-1);
  if (open < 0) return shape;
  const rest = sizeOf(shape.filter((_, axis) => axis !== open));
  const found = rest > 0 ? sizeOf(from) / rest : 0;
  if (!Number.isInteger(found) || shape.indexOf(-1, open + 1) >= 0) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `${formatShape(from)} cannot become ${formatShape(shape)}: want one -1 at most, and ` +
        "extents that divide the number of elements",
    );
  }
  return shape.map((extent, axis) => (axis === open ? found : extent));
}

/** Strides by which `x` reads as `to` without a copy, where there are some. */
function stridesOfReshape(x: Value, to: Shape): number[] | null {
  const from = shapeOf(x);
  if (sizeOf(to) === 0) return rowMajor(to);
  const strides = new Array<number>(to.length).fill(1);
  let own = from.length - 1;
  let axis = to.length - 1;
  while (axis >= 0 || own >= 0) {
    // A group of axes on either side with the same number of elements.
    let ownSize = own >= 0 ? from[own]! : 1;
    let size = axis >= 0 ? to[axis]! : 1;
    let ownStart = own;
    let start = axis;
    while (ownSize !== size) {
      if (ownSize < size) ownSize *= from[--ownStart]!;
      else size *= to[--start]!;
    }
    let stride = own >= 0 ? x.strides[lastOfMany(from, ownStart, own)]! : 1;
    if (!isRun(x, Math.max(0, ownStart), own)) return null;
    for (let at = axis; at >= Math.max(0, start); at -= 1) {
      strides[at] = stride;
      stride *= to[at]!;
    }
    own = ownStart - 1;
    axis = start - 1;
  }
  return strides;
}

/** The innermost axis of a group that has more than one element, whose stride counts. */
function lastOfMany(shape: Shape, first: number, last: number): number {
  for (let axis = last; axis > Math.max(0, first); axis -= 1) if (shape[axis] !== 1) return axis;
  return Math.max(0, first);
}

/** Whether the axes step through memory as one would. */
function isRun(x: Value, first: number, last: number): boolean {
  const shape = shapeOf(x);
  let expected: number | undefined;
  for (let axis = last; axis >= first; axis -= 1) {
    if (shape[axis] === 1) continue;
    if (expected !== undefined && x.strides[axis] !== expected) return false;
    expected = x.strides[axis]! * shape[axis]!;
  }
  return true;
}

/** @throws BitNetError `tensor/axis-out-of-range` unless every axis is named once. */
export function permute(x: Value, axes: readonly number[]): Value {
  const rank = x.dims.length;
  if (axes.length !== rank || normalizeAxes(axes, rank).length !== rank) {
    throw new BitNetError(
      "tensor/axis-out-of-range",
      `axes [${axes}] do not order the ${rank} dimensions of ${formatShape(shapeOf(x))}`,
    );
  }
  return x.permute(axes.map((axis) => normalizeAxis(axis, rank)));
}

/** Without the named axes, each of one element; by default all such. */
export function squeeze(x: Value, axes?: number | readonly number[]): Value {
  const shape = shapeOf(x);
  const gone = new Set(
    axes === undefined
      ? shape.flatMap((extent, axis) => (extent === 1 ? [axis] : []))
      : normalizeAxes(axes, shape.length),
  );
  for (const axis of gone) {
    if (shape[axis] === 1) continue;
    throw new BitNetError(
      "tensor/shape-mismatch",
      `axis ${axis} of ${formatShape(shape)} has ${shape[axis]} elements: only one can be left out`,
    );
  }
  const kept = shape.map((_, axis) => axis).filter((axis) => !gone.has(axis));
  return x.view({
    dims: kept.map((axis) => shape[axis]!),
    strides: kept.map((axis) => x.strides[axis]!),
  });
}

/** With a new axis of one element at a place of the result. */
export function unsqueeze(x: Value, axis: number): Value {
  const at = normalizeAxis(axis, x.dims.length + 1);
  return x.view({
    dims: requireShape([...shapeOf(x).slice(0, at), 1, ...shapeOf(x).slice(at)]),
    strides: [...x.strides.slice(0, at), 0, ...x.strides.slice(at)],
  });
}

/**
 * Repeated without a copy: extents of 1, and missing leading ones, become larger; -1 keeps one.
 * @throws BitNetError `tensor/shape-mismatch`
 */
export function expand(x: Value, shape: Shape): Value {
  const from = shapeOf(x);
  const missing = shape.length - from.length;
  const to = shape.map((extent, axis) => (extent === -1 ? (from[axis - missing] ?? -1) : extent));
  const fits =
    missing >= 0 && from.every((extent, axis) => extent === 1 || extent === to[axis + missing]);
  if (!fits) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `${formatShape(from)} does not expand to ${formatShape(shape)}: only extents of 1 grow`,
    );
  }
  return x.broadcast(requireShape(to));
}

/** A part of one axis: what lies at `start`, `start + step`, ..., `count` elements in all. */
export interface AxisPart {
  start: number;
  count: number;
  step: number;
}

/** Sees part of an axis; the part lies inside it. */
export function part(x: Value, axis: number, { start, count, step }: AxisPart): Value {
  const stride = x.strides[axis]!;
  const dims = shapeOf(x).map((extent, at) => (at === axis ? count : extent));
  return x.view({
    dims,
    strides: x.strides.map((own, at) => (at === axis ? own * step : own)),
    // What is empty lies nowhere else: its memory may end before.
    offset: x.offset + (sizeOf(dims) > 0 ? start * stride * elementSizes[x.dtype] : 0),
  });
}
