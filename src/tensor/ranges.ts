/** New tensors of numbers that follow a rule: steps, equal parts, the identity. */

import { BitNetError } from "../errors/index.ts";
import { isFloat } from "../graph/index.ts";
import type { CreateOptions } from "./create.ts";
import type { DType } from "./dtypes.ts";
import { cast } from "./elementwise.ts";
import { filled } from "./read.ts";
import { requireShape } from "./shapes.ts";
import { Tensor } from "./tensor.ts";

export interface RangeOptions extends CreateOptions {
  /** 1 by default. */
  step?: number;
}

/**
 * start, start + step, ... below `stop` (above it for a step below 0); from 0 with one argument:
 * i32 where all three are whole, else f32. Elements are start + index * step in f64, so that no
 * error adds up.
 * @throws BitNetError `tensor/bad-shape` for a step of 0 or ends that are no numbers
 */
export function arange(first: number, second?: number, options: RangeOptions = {}): Tensor {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const { step = 1 } = options;
  if (![start, stop, step].every(Number.isFinite) || step === 0) {
    throw new BitNetError(
      "tensor/bad-shape",
      `arange from ${start} to ${stop} by ${step}: want finite numbers, and a step other than 0`,
    );
  }
  const isWhole = [start, stop, step].every((one) => Number.isInteger(one) && one === (one | 0));
  const dtype = options.dtype ?? (isWhole ? "i32" : "f32");
  const count = Math.max(0, Math.ceil((stop - start) / step));
  return numbered([count], dtype, (index) => start + index * step);
}

export interface LinspaceOptions extends CreateOptions {
  /** Whether the last element is `stop`, which is the default. */
  endpoint?: boolean;
  /** 50 by default. */
  count?: number;
}

/** `count` numbers at equal distances from `start` to `stop`. */
export function linspace(start: number, stop: number, options: LinspaceOptions = {}): Tensor {
  const { count = 50, endpoint = true, dtype = "f32" } = options;
  const steps = endpoint ? count - 1 : count;
  return numbered([count], dtype, (index) => {
    if (endpoint && index === steps && index > 0) return stop;
    return steps > 0 ? start + (index * (stop - start)) / steps : start;
  });
}

export interface EyeOptions extends CreateOptions {
  /** As many as rows by default. */
  columns?: number;
  /** Which diagonal is 1: above the main one for more than 0. */
  diagonal?: number;
}

/** 1 on a diagonal, 0 elsewhere. */
export function eye(rows: number, options: EyeOptions = {}): Tensor {
  const { columns = rows, diagonal = 0, dtype = "f32" } = options;
  const own = dtype === "bf16" ? "f32" : dtype;
  const value = filled(requireShape([rows, columns]), own, (elements) => {
    elements.fill(0);
    for (let row = Math.max(0, -diagonal); row < rows && row + diagonal < columns; row += 1) {
      elements[row * columns + row + diagonal] = 1;
    }
  });
  return new Tensor(cast(value, dtype));
}

/** Computed in f64 (i32 for integers), then cast. */
function numbered(shape: [number], dtype: DType, at: (index: number) => number): Tensor {
  const own = dtype === "f64" || dtype === "f32" ? dtype : isFloat(dtype) ? "f64" : "i32";
  const value = filled(requireShape(shape), own, (elements) => {
    for (let index = 0; index < elements.length; index += 1) elements[index] = at(index);
  });
  return new Tensor(cast(value, dtype));
}
