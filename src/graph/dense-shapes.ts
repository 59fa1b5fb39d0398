/** What products and decompositions of dense matrices make: shapes and dtypes of their outputs. */
import type { DTypeName } from "../native/index.ts";
import { type Dim, sameDim } from "./dims.ts";
import type { Value } from "./value.ts";

export interface DenseShape {
  dtype: DTypeName;
  dims: readonly Dim[];
}

/** (..., m, k) by (..., k, n): batch extents are equal, 1 or missing. */
export function matmulShape(a: Value, b: Value): DenseShape {
  const [k, width] = [b.dims.at(-2), a.dims.at(-1)];
  if (k === undefined || a.dims.length < 2 || !sameDim(k, width!)) {
    throw new Error(`want (..., m, k) by (..., k, n), got ${a} by ${b}`);
  }
  if ((a.dtype === "f64") !== (b.dtype === "f64")) {
    throw new Error(`want both factors in f64 or neither, got ${a} by ${b}`);
  }
  const rank = Math.max(a.dims.length, b.dims.length);
  const batch = Array.from({ length: rank - 2 }, (_, axis): Dim => {
    const own = [a, b].map(({ dims }) => dims[axis - rank + dims.length] ?? 1);
    const [first, second] = own as [Dim, Dim];
    if (first === 1 || sameDim(first, second)) return second;
    if (second === 1) return first;
    throw new Error(`batches differ: ${a} by ${b}`);
  });
  const dtype = a.dtype === "f64" ? "f64" : "f32";
  return { dtype, dims: [...batch, a.dims.at(-2)!, b.dims.at(-1)!] };
}
