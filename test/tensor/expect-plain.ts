/** Compares a tensor with plain numbers. */
import { expect } from "bun:test";
import type { DType, Tensor } from "../../src/tensor/index.ts";
import { stored } from "./drawn.ts";
import { type Plain, plain } from "./plain.ts";

/** What may lie between a result and the exact number, relative to it or to 1: rounding alone. */
export const rounding: Record<DType, number> = {
  f64: 4e-15,
  f32: 5e-7,
  f16: 2e-3,
  bf16: 1.6e-2,
  i32: 0,
  i8: 0,
  u8: 0,
  bool: 0,
};

export interface Expected {
  dtype: DType;
  /** Times the rounding of the dtype; 0, the default, wants the number itself. */
  units?: number;
}

/** The result has this dtype, this shape, and these numbers as the dtype has them. */
export function expectPlain(got: Tensor, want: Plain, { dtype, units = 0 }: Expected): void {
  expect(got.dtype).toBe(dtype);
  const { shape, data } = plain(got);
  expect(shape).toEqual(want.shape);
  data.forEach((value, index) => {
    const number = Number(value);
    const wanted = stored(Number(want.data[index]), dtype);
    if (isNear(number, wanted, units * rounding[dtype])) return;
    throw new Error(
      `element ${index} of ${shape}: ${number}, want ${wanted} within ${units} ${dtype} units`,
    );
  });
}

function isNear(got: number, want: number, tolerance: number): boolean {
  if (Number.isNaN(want) || !Number.isFinite(want)) return Object.is(got, want);
  return got === want || Math.abs(got - want) <= tolerance * Math.max(1, Math.abs(want));
}
