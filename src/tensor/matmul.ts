/**
 * Products of matrices as NumPy's `@` has them: the last two axes are multiplied, those before
 * broadcast; a vector stands for a row on the left and a column on the right. f16 and bf16 are read
 * as they are and give f32, which is cast back; integers are multiplied as f64.
 */
import { BitNetError } from "../errors/index.ts";
import { isFloat, type Value } from "../graph/index.ts";
import { type DType, promote } from "./dtypes.ts";
import { cast } from "./elementwise.ts";
import { squeeze, unsqueeze } from "./movement.ts";
import { pending } from "./pending.ts";
import { broadcastShapes, formatShape, shapeOf } from "./shapes.ts";

/** @throws BitNetError `tensor/shape-mismatch` with both shapes */
export function matmul(a: Value, b: Value): Value {
  const dtype = promote(a.dtype as DType, b.dtype as DType);
  const isWide = dtype === "f64" || !isFloat(dtype);
  const left = asMatrix(isWide ? cast(a, "f64") : floats(a), 0);
  const right = asMatrix(isWide ? cast(b, "f64") : floats(b), -1);
  requireMatch(a, b, [left, right]);
  let product = pending.apply("matmul", [left, right])[0]!;
  if (b.dims.length === 1) product = squeeze(product, -1);
  if (a.dims.length === 1) product = squeeze(product, b.dims.length === 1 ? -1 : -2);
  return cast(product, dtype);
}

/** Floats as they are; integers beside them as f32. */
function floats(x: Value): Value {
  return isFloat(x.dtype) ? x : cast(x, "f32");
}

function asMatrix(x: Value, axis: number): Value {
  return x.dims.length === 1 ? unsqueeze(x, axis) : x;
}

function requireMatch(a: Value, b: Value, [left, right]: [Value, Value]): void {
  const [of, by] = [shapeOf(left), shapeOf(right)];
  if (a.dims.length === 0 || b.dims.length === 0 || of.at(-1) !== by.at(-2)) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `${formatShape(shapeOf(a))} @ ${formatShape(shapeOf(b))}: want the last axis of the first ` +
        "as long as the one before the last of the second",
    );
  }
  broadcastShapes(of.slice(0, -2), by.slice(0, -2));
}
