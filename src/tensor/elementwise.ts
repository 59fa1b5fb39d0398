/**
 * Operations element by element, with broadcasting. Kernels compute in f32, f64 or i32; narrower
 * dtypes are cast on the way in and back on the way out. On values: nothing runs.
 */

import type { Value } from "../graph/index.ts";
import type { OpName } from "../native/index.ts";
import { computeDType, type DType, isFloat, promote, promoteNumber } from "./dtypes.ts";
import { pending } from "./pending.ts";
import { broadcastShapes, type Shape, sameShape, shapeOf } from "./shapes.ts";

/** A value, or a number that takes the other operand's dtype. */
export type Operand = Value | number;

/** The value in another dtype; itself where it has it. */
export function cast(x: Value, dtype: DType): Value {
  if (x.dtype === dtype) return x;
  return pending.apply("copy", [x], { dtype })[0]!;
}

/** a op b of the dtype that both have in common. */
export function binary(op: OpName, a: Operand, b: Operand): Value {
  return arithmetic(op, [a, b], commonDType(a, b));
}

/** True division: integers divide as f32. */
export function divide(a: Operand, b: Operand): Value {
  const common = commonDType(a, b);
  return arithmetic("div", [a, b], isFloat(common) ? common : "f32");
}

function arithmetic(op: OpName, [a, b]: [Operand, Operand], dtype: DType): Value {
  const compute = computeDType(dtype);
  const shape = broadcastShapes(shapeOfOperand(a), shapeOfOperand(b));
  const left = operand(a, compute, shape);
  const right = operand(b, compute, shape);
  return cast(pending.apply(op, [left, right])[0]!, dtype);
}

function operand(x: Operand, dtype: "f32" | "f64" | "i32", shape: Shape): Value {
  const value = typeof x === "number" ? pending.number(x, dtype) : cast(x, dtype);
  return sameShape(shapeOf(value), shape) ? value : value.broadcast(shape);
}

function shapeOfOperand(x: Operand): Shape {
  return typeof x === "number" ? [] : shapeOf(x);
}

function commonDType(a: Operand, b: Operand): DType {
  if (typeof a === "number") {
    return typeof b === "number" ? "f32" : promoteNumber(b.dtype as DType, a);
  }
  if (typeof b === "number") return promoteNumber(a.dtype as DType, b);
  return promote(a.dtype as DType, b.dtype as DType);
}
