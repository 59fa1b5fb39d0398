/**
 * Whether a view reads the same elements of a value that lies wider apart: a Program for many sizes
 * lays out what it makes for the largest of them, a recording of its own size without gaps.
 */
import { elementSizes, type Value } from "../graph/index.ts";

/** What an instruction makes, at the largest sizes and at its own. */
export interface Whole {
  wide: Value;
  own: Value;
}

/** Of two views of equal extents; `whole` is undefined for memory that is there before a run. */
export function samePlace(wide: Value, own: Value, whole: Whole | undefined): boolean {
  if (own.layout !== "strided") return wide.offset === own.offset;
  if (own.dims.includes(0)) return true;
  if (!whole || equal(whole.wide.strides, whole.own.strides)) return sameAddresses(wide, own);
  if (own.dtype !== whole.own.dtype) return false;
  const start = digits(own.offset / elementSizes[own.dtype], whole.own.strides);
  const wideStart = digits(wide.offset / elementSizes[wide.dtype], whole.wide.strides);
  if (!equal(start, wideStart)) return false;
  const low = [...start];
  const high = [...start];
  for (const [axis, extent] of own.dims.entries()) {
    if (extent === 1) continue;
    const steps = digits(own.strides[axis]!, whole.own.strides);
    if (!equal(steps, digits(wide.strides[axis]!, whole.wide.strides))) return false;
    for (const [index, step] of steps.entries()) {
      const reach = step * ((extent as number) - 1);
      if (reach < 0) low[index]! += reach;
      else high[index]! += reach;
    }
  }
  // A view across rows without a gap between them is none where there is one.
  return whole.own.dims.every((extent, axis) => low[axis]! >= 0 && high[axis]! < Number(extent));
}

function sameAddresses(wide: Value, own: Value): boolean {
  if (wide.offset !== own.offset) return false;
  return own.strides.every((stride, axis) => own.dims[axis] === 1 || stride === wide.strides[axis]);
}

/** A distance in elements as so many steps along each axis, the longest first. */
function digits(distance: number, strides: readonly number[]): number[] {
  let left = Math.abs(distance);
  return strides.map((stride) => {
    const count = Math.floor(left / stride);
    left -= count * stride;
    return Math.sign(distance) * count;
  });
}

function equal(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index]);
}
