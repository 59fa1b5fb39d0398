/**
 * Norms of vectors over any axes, which leave no number out: what is not a number is passed on.
 * Where all elements are 0 the gradient is 0, as torch has it.
 */
import { BitNetError } from "../errors/index.ts";
import { isFloat, type Value } from "../graph/index.ts";
import { computeDType, type DType } from "./dtypes.ts";
import { binary, cast, compare, power, select, unary } from "./elementwise.ts";
import { type ReduceOptions, reduced } from "./reductions.ts";

export interface NormOptions extends ReduceOptions {
  /**
   * p: the p-th root of sum |x|^p, 2 by default; Infinity and -Infinity: the largest and the
   * smallest |x|; 0: how many are not 0.
   */
  order?: number;
}

/** @throws BitNetError `tensor/bad-shape` for an order that is not a number */
export function norm(x: Value, { order = 2, ...options }: NormOptions = {}): Value {
  if (Number.isNaN(order)) {
    throw new BitNetError("tensor/bad-shape", "norm of the order NaN: want a number or ±Infinity");
  }
  const dtype = isFloat(x.dtype) ? (x.dtype as DType) : "f32";
  const wide = cast(x, computeDType(dtype));
  return cast(normOf(wide, order, options), dtype);
}

function normOf(x: Value, order: number, options: ReduceOptions): Value {
  const size = (): Value => unary("abs", x);
  if (order === Infinity) return reduced("reduce_max", size(), options);
  if (order === -Infinity) return reduced("reduce_min", size(), options);
  if (order === 0) {
    const counts = cast(compare("not_equal", x, 0), x.dtype as DType);
    return reduced("reduce_sum", counts, options);
  }
  if (order === 1) return reduced("reduce_sum", size(), options);
  const terms = order === 2 ? binary("mul", x, x) : power(size(), order);
  const sum = reduced("reduce_sum", terms, options);
  // The root has an infinite slope at 0: there the sum goes round it.
  const isZero = compare("equal", sum, 0);
  const safe = select(isZero, 1, sum);
  const root = order === 2 ? unary("sqrt", safe) : power(safe, 1 / order);
  return select(isZero, order < 0 ? Infinity : sum, root);
}
