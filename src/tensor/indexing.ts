/**
 * Indices as NumPy has them: whole numbers (below 0 from the back), ranges as text ("1:5",
 * "::-1"), "..." for all axes between, null for a new axis. They make views of the same memory.
 */
import { BitNetError } from "../errors/index.ts";
import type { Value } from "../graph/index.ts";
import { part, unsqueeze } from "./movement.ts";
import { formatShape, shapeOf } from "./shapes.ts";

/** One place of an index: an element, a range `start:stop:step`, `...`, or null: a new axis. */
export type Index = number | string | null;

const range = /^\s*(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*(-?\d+)?\s*)?$/;

/**
 * The part that the indices name; axes without one are taken whole.
 * @throws BitNetError `tensor/index-out-of-range`, `tensor/bad-index`
 */
export function indexed(x: Value, indices: readonly Index[]): Value {
  const places = spread(x, indices);
  let view = x;
  let axis = 0;
  for (const place of places) {
    if (place === null) {
      view = unsqueeze(view, axis);
      axis += 1;
    } else if (typeof place === "number") {
      view = select(view, axis, place);
    } else {
      view = part(view, axis, partOf(place, shapeOf(view)[axis]!));
      axis += 1;
    }
  }
  return view;
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
function spread(x: Value, indices: readonly Index[]): Index[] {
  const named = indices.filter((index) => index !== null && index !== "...").length;
  const shape = shapeOf(x);
  if (named > shape.length || indices.filter((index) => index === "...").length > 1) {
    throw new BitNetError(
      "tensor/bad-index",
      `[${indices.join(", ")}] of a tensor ${formatShape(shape)}: want at most ${shape.length} ` +
        'indices and one "..."',
    );
  }
  const rest = new Array<Index>(shape.length - named).fill(":");
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
