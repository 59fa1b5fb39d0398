/** Functions of plain numbers, as IEEE 754 and Python define them. */
import type { DType } from "../../src/tensor/index.ts";
import { type Plain, sizeOf, unflat } from "./plain.ts";

/** x^y where 1^y and x^0 are 1 and (-1)^±inf too, unlike JavaScript's. */
export function power(x: number, y: number): number {
  if (x === 1 || (x === -1 && Math.abs(y) === Infinity)) return 1;
  return x ** y;
}

/** The remainder with the divisor's sign; of integers by 0 it is 0. */
export function modulo(a: number, b: number, isInteger: boolean): number {
  if (isInteger && b === 0) return 0;
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}

export function smaller(a: number, b: number): number {
  return Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Math.min(a, b);
}

export function larger(a: number, b: number): number {
  return -smaller(-a, -b);
}

/** By its series, and far out by the continued fraction of what is left of 1. */
export function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  if (x < 0) return -erf(-x);
  if (x > 6) return 1;
  if (x > 2.5) {
    let fraction = x;
    for (let n = 60; n > 0; n -= 1) fraction = x + n / 2 / fraction;
    return 1 - Math.exp(-x * x) / (fraction * Math.sqrt(Math.PI));
  }
  let term = x;
  let sum = x;
  for (let n = 1; n < 60; n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** The dtype of an operation on both, by docs/tensors.md. */
export function common(a: DType, b: DType): DType {
  const order: DType[] = ["bool", "i8", "u8", "i32", "f16", "bf16", "f32", "f64"];
  if (a === b) return a;
  const pair = [a, b].sort().join();
  if (pair === "i8,u8") return "i32";
  if (pair === "bf16,f16") return "f32";
  return order[Math.max(order.indexOf(a), order.indexOf(b))]!;
}

/** Every index list of a shape, row by row. */
export function indices(shape: readonly number[]): number[][] {
  return Array.from({ length: sizeOf(shape) }, (_, flat) => unflat(flat, shape));
}

/** The element that broadcasting puts at an index. */
export function broadcastAt({ shape, data }: Plain, index: readonly number[]): number {
  const own = index.slice(index.length - shape.length);
  const flat = shape.reduce((sum, extent, axis) => {
    return sum * extent + (extent === 1 ? 0 : own[axis]!);
  }, 0);
  return Number(data[flat]);
}

export function broadcastShape(shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const extents = shapes.map((shape) => shape[shape.length - rank + axis] ?? 1);
    return extents.find((extent) => extent !== 1) ?? 1;
  });
}

/** Lists of the elements that a reduction brings together, in order, by the index that is left. */
export function groups({ shape, data }: Plain, axes: readonly number[]): Map<string, number[]> {
  const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const lists = new Map(indices(kept).map((index): [string, number[]] => [index.join(), []]));
  for (const [flat, index] of indices(shape).entries()) {
    const at = index.map((one, axis) => (axes.includes(axis) ? 0 : one));
    lists.get(at.join())!.push(Number(data[flat]));
  }
  return lists;
}
