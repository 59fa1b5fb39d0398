/**
 * Shapes of tensors: broadcasting, axes, strides. Errors name both shapes and what would fit.
 */
import { BitNetError } from "../errors/index.ts";
import { isRowMajor, type Value } from "../graph/index.ts";

export type Shape = readonly number[];

/** Extents of a value; those of tensors are plain numbers. */
export function shapeOf(value: Value): Shape {
  return value.dims as Shape;
}

export function sizeOf(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** `(2, 3)`, and `(3,)` for one dimension, as NumPy writes it. */
export function formatShape(shape: Shape): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
}

/**
 * The shape both can be repeated to: extents are equal, or one of them is 1 or missing in front.
 * @throws BitNetError `tensor/shape-mismatch`
 */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  if (sameShape(a, b)) return a;
  const rank = Math.max(a.length, b.length);
  const shape = new Array<number>(rank);
  for (let back = 1; back <= rank; back += 1) {
    const left = a[a.length - back] ?? 1;
    const right = b[b.length - back] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      throw new BitNetError(
        "tensor/shape-mismatch",
        `shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast: ${left} against ` +
          `${right} in axis ${rank - back}; want equal extents, or 1`,
      );
    }
    shape[rank - back] = left === 1 ? right : left;
  }
  return shape;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis += 1) if (a[axis] !== b[axis]) return false;
  return true;
}

/**
 * An axis from 0, given from the front or, below 0, from the back.
 * @throws BitNetError `tensor/axis-out-of-range`
 */
export function normalizeAxis(axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new BitNetError(
      "tensor/axis-out-of-range",
      `axis ${axis} of a tensor of ${rank} dimensions: want ${-rank} to ${rank - 1}`,
    );
  }
  return axis < 0 ? axis + rank : axis;
}

/**
 * Axes in rising order, all of them by default.
 * @throws BitNetError `tensor/axis-out-of-range`, also for one that is named twice
 */
export function normalizeAxes(axes: number | readonly number[] | undefined, rank: number): Shape {
  if (axes === undefined) return Array.from({ length: rank }, (_, axis) => axis);
  const list = typeof axes === "number" ? [axes] : axes;
  const normal = list.map((axis) => normalizeAxis(axis, rank)).sort((a, b) => a - b);
  if (new Set(normal).size !== normal.length) {
    throw new BitNetError("tensor/axis-out-of-range", `axes [${list}] name one axis twice`);
  }
  return normal;
}

/** Whether the elements lie one behind the other in row-major order. */
export function isContiguous(value: Value): boolean {
  const shape = shapeOf(value);
  return sizeOf(shape) === 0 || isRowMajor(shape, value.strides);
}

/** @throws BitNetError `tensor/bad-shape` for an extent that is no count. */
export function requireShape(shape: Shape): Shape {
  for (const extent of shape) {
    if (!Number.isInteger(extent) || extent < 0 || extent > 0xffff_ffff) {
      throw new BitNetError(
        "tensor/bad-shape",
        `shape ${formatShape(shape)}: want whole extents from 0 to 2^32 - 1, got ${extent}`,
      );
    }
  }
  if (shape.length > rankMax) {
    throw new BitNetError(
      "tensor/bad-shape",
      `shape ${formatShape(shape)}: want at most ${rankMax} dimensions`,
    );
  }
  return shape;
}

/** Dimensions that a tensor can have. */
export const rankMax = 6;
