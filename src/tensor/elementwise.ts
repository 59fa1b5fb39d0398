/**
 * Operations element by element, with broadcasting. Kernels compute in f32, f64 or i32; narrower
 * dtypes are cast on the way in and back on the way out. On values: nothing runs.
 */

import { isFloat, type Value } from "../graph/index.ts";
import type { OpName } from "../native/index.ts";
import {
  arrayOf,
  type ComputeDType,
  computeDType,
  type DType,
  promote,
  promoteNumber,
} from "./dtypes.ts";
import { pending } from "./pending.ts";
import { broadcastShapes, type Shape, sameShape, shapeOf } from "./shapes.ts";

/** A value, or a number that takes the other operand's dtype. */
export type Operand = Value | number;

/** The value in another dtype; itself where it has it. */
export function cast(x: Value, dtype: DType): Value {
  if (x.dtype === dtype) return x;
  arrayOf(dtype);
  return pending.apply("copy", [x], { dtype })[0]!;
}

/** a op b of the dtype that both have in common. */
export function binary(op: OpName, a: Operand, b: Operand): Value {
  return arithmetic(op, [a, b], commonDType(a, b));
}

/** A function of each element: integers become f32, but for `neg` and `abs`. */
export function unary(op: OpName, x: Value): Value {
  const own = x.dtype as DType;
  const keepsIntegers = op === "neg" || op === "abs";
  const dtype = isFloat(own) || keepsIntegers ? own : "f32";
  return cast(pending.apply(op, [cast(x, computeDType(dtype))])[0]!, dtype);
}

/** a compared with b: bool. */
export function compare(op: OpName, a: Operand, b: Operand): Value {
  const { left, right } = operands([a, b], computeDType(commonDType(a, b)));
  return pending.apply(op, [left, right])[0]!;
}

/** a where the condition holds, else b. */
export function select(condition: Value, a: Operand, b: Operand): Value {
  const dtype = commonDType(a, b);
  const compute = computeDType(dtype);
  const shape = broadcastShapes(
    shapeOf(condition),
    broadcastShapes(shapeOfOperand(a), shapeOfOperand(b)),
  );
  const inputs = [
    broadcastTo(cast(condition, "bool"), shape),
    operand(a, compute, shape),
    operand(b, compute, shape),
  ];
  return cast(pending.apply("select", inputs)[0]!, dtype);
}

/** x^y; common whole and half exponents are made of products and roots. */
export function power(x: Value, exponent: Operand): Value {
  if (isFloat(x.dtype)) {
    if (exponent === 2) return binary("mul", x, x);
    if (exponent === 3) return binary("mul", binary("mul", x, x), x);
    if (exponent === 0.5) return unary("sqrt", x);
    if (exponent === -1) return divide(1, x);
  }
  return binary("power", x, exponent);
}

/** True division: integers divide as f32. */
export function divide(a: Operand, b: Operand): Value {
  const common = commonDType(a, b);
  return arithmetic("div", [a, b], isFloat(common) ? common : "f32");
}

function arithmetic(op: OpName, pair: [Operand, Operand], dtype: DType): Value {
  const { left, right } = operands(pair, computeDType(dtype));
  return cast(pending.apply(op, [left, right])[0]!, dtype);
}

/** Both in one dtype and shape. */
function operands([a, b]: [Operand, Operand], dtype: ComputeDType): { left: Value; right: Value } {
  const shape = broadcastShapes(shapeOfOperand(a), shapeOfOperand(b));
  return { left: operand(a, dtype, shape), right: operand(b, dtype, shape) };
}

function operand(x: Operand, dtype: ComputeDType, shape: Shape): Value {
  const value = typeof x === "number" ? pending.number(x, dtype) : cast(x, dtype);
  return broadcastTo(value, shape);
}

function broadcastTo(value: Value, shape: Shape): Value {
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
