/**
 * Indices as NumPy has them: whole numbers (below 0 from the back), ranges as text ("1:5",
 * "::-1"), "..." for all axes between, null for a new axis. They make views of the same memory.
 * Lists and tensors of whole numbers, and masks, pick elements into memory of their own; several
 * of them are broadcast and read together.
 */
import { BitNetError } from "../errors/index.ts";
import { Value } from "../graph/index.ts";
import { type AxisPlaces, nonzero, type Places, takeAt } from "./gathering.ts";
import { part, unsqueeze } from "./movement.ts";
import { formatShape, shapeOf } from "./shapes.ts";

/** One place of an index: an element, a range as text, `...`, null for a new axis, a list. */
export type ValueIndex = number | string | null | Places;

const range = /^\s*(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*(-?\d+)?\s*)?$/;

/**
 * The part that the indices name; axes without one are taken whole.
 * @throws BitNetError `tensor/index-out-of-range`, `tensor/bad-index`
 */
export function indexed(x: Value, indices: readonly ValueIndex[]): Value {
  let view = x;
  let axis = 0;
  const lists: AxisPlaces[] = [];
  const advanced: { place: number; axis: number }[] = [];
  for (const [place, index] of spread(x, indices).entries()) {
    if (index === null) {
      view = unsqueeze(view, axis);
      axis += 1;
    } else if (typeof index === "number") {
      view = select(view, axis, index);
      advanced.push({ place, axis });
    } else if (typeof index === "string") {
      view = part(view, axis, partOf(index, shapeOf(view)[axis]!));
      axis += 1;
    } else {
      advanced.push({ place, axis });
      for (const places of isMask(index) ? placesOfMask(view, axis, index) : [index]) {
        lists.push({ axis, places });
        axis += 1;
      }
    }
  }
  if (lists.length === 0) return view;
  // Lists side by side are replaced where they stand; else their axes come first, as in NumPy.
  const first = advanced[0]!;
  const isRun = advanced.at(-1)!.place - first.place === advanced.length - 1;
  return takeAt(view, lists, isRun ? first.axis : 0);
}

function isMask(index: ValueIndex): index is Value {
  return isValue(index) && index.dtype === "bool";
}

function isValue(index: ValueIndex): index is Value {
  return index instanceof Value;
}

/** The places of a mask's true elements, for each of its axes, from `axis` on. */
function placesOfMask(x: Value, axis: number, mask: Value): Int32Array[] {
  const want = shapeOf(x).slice(axis, axis + mask.dims.length);
  if (mask.dims.length > 0 && mask.dims.join() === want.join()) return nonzero(mask);
  throw new BitNetError(
    "tensor/bad-index",
    `a mask ${formatShape(shapeOf(mask))} for the axes ${formatShape(want)}: want their shape`,
  );
}

/** Without the axis: its element at `index`. */
function select(x: Value, axis: number, index: number): Value {
  const extent = shapeOf(x)[axis]!;
  if (!Number.isInteger(index) || index < -extent || index >= extent) {
    throw new BitNetError(
      "tensor/index-out-of-range",
      `index ${index} of axis ${axis} with ${extent} elements: want ${-extent} to ${extent - 1}`,
    );
  }
  const start = index < 0 ? index + extent : index;
  const one = part(x, axis, { start, count: 1, step: 1 });
  const others = shapeOf(one)
    .map((_, at) => at)
    .filter((at) => at !== axis);
  return one.view({
    dims: others.map((at) => one.dims[at]!),
    strides: others.map((at) => one.strides[at]!),
    offset: one.offset,
  });
}

/** The indices with `...` written out as whole ranges. */
function spread(x: Value, indices: readonly ValueIndex[]): ValueIndex[] {
  let named = 0;
  for (const index of indices) {
    if (index !== null && index !== "...") named += isMask(index) ? index.dims.length : 1;
  }
  const shape = shapeOf(x);
  if (named > shape.length || indices.filter((index) => index === "...").length > 1) {
    throw new BitNetError(
      "tensor/bad-index",
      `[${indices.join(", ")}] of a tensor ${formatShape(shape)}: want at most ${shape.length} ` +
        'indices and one "..."',
    );
  }
  const rest = new Array<ValueIndex>(shape.length - named).fill(":");
  const at = indices.indexOf("...");
  if (at < 0) return [...indices, ...rest];
  return [...indices.slice(0, at), ...rest, ...indices.slice(at + 1)];
}

/** A range's elements, cut to the axis as Python cuts it. */
function partOf(text: string, extent: number): { start: number; count: number; step: number } {
  const match = range.exec(text);
  const step = match?.[3] === undefined ? 1 : Number(match[3]);
  if (!match || step === 0) {
    throw new BitNetError(
      "tensor/bad-index",
      `"${text}" is no range: want "start:stop:step", each left out or whole, the step not 0`,
    );
  }
  const first = step > 0 ? 0 : -1;
  const last = step > 0 ? extent : extent - 1;
  const place = (given: string | undefined, otherwise: number): number => {
    if (given === undefined) return otherwise;
    const number = Number(given) < 0 ? Number(given) + extent : Number(given);
    return Math.min(Math.max(number, first), last);
  };
  const start = place(match[1], step > 0 ? 0 : last);
  const stop = place(match[2], step > 0 ? last : first);
  return { start, count: Math.max(0, Math.ceil((stop - start) / step)), step };
}
