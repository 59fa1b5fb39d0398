/**
 * Order along an axis. Equal elements keep their order, and what is not a number comes last, in
 * rising and in falling order. f16 and bf16 are sorted as f32, small integers as i32.
 */
import { BitNetError } from "../errors/index.ts";
import type { Value } from "../graph/index.ts";
import { computeDType, type DType } from "./dtypes.ts";
import { cast } from "./elementwise.ts";
import { part } from "./movement.ts";
import { pending } from "./pending.ts";
import { axisBack, lastAxis } from "./reductions.ts";
import { formatShape, normalizeAxis, shapeOf } from "./shapes.ts";

export interface SortOptions {
  /** The last one by default. */
  axis?: number;
  descending?: boolean;
}

/** What is sorted, and where each element stood (i32). */
export interface Sorted<T> {
  values: T;
  indices: T;
}

export function sorted(x: Value, { axis = -1, descending = false }: SortOptions): Sorted<Value> {
  const dtype = x.dtype as DType;
  const turned = lastAxis(cast(x, computeDType(dtype)), axis);
  const [values, indices, spare] = pending.apply("sort", [turned], { attrs: { descending } });
  pending.release(spare!.storage);
  return {
    values: cast(axisBack(values!, axis), dtype),
    indices: axisBack(indices!, axis),
  };
}

export interface TopOptions {
  axis?: number;
  /** The largest, which is the default, or the smallest. */
  largest?: boolean;
}

/** @throws BitNetError `tensor/index-out-of-range` for a count that the axis does not have */
export function top(x: Value, count: number, options: TopOptions): Sorted<Value> {
  const axis = normalizeAxis(options.axis ?? -1, x.dims.length);
  const extent = shapeOf(x)[axis]!;
  if (!Number.isInteger(count) || count < 0 || count > extent) {
    throw new BitNetError(
      "tensor/index-out-of-range",
      `the top ${count} along axis ${axis} of ${formatShape(shapeOf(x))}: want 0 to ${extent}`,
    );
  }
  const { values, indices } = sorted(x, { axis, descending: options.largest ?? true });
  const first = { start: 0, count, step: 1 };
  return { values: part(values, axis, first), indices: part(indices, axis, first) };
}
