/**
 * What the ops compute, in plain loops over rows in f64, or in f32 where every rounding is part of
 * the definition. Matrices are row-major arrays with their width.
 */

import { roundHalfEven } from "../../src/quant/index.ts";
import { Random } from "../checkpoint/random.ts";

const { fround } = Math;

/** Normal deviates times `scale`, seeded. */
export function normals(count: number, seed: number, scale = 1): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log((random.below(2 ** 30) + 1) / 2 ** 30));
    return scale * radius * Math.cos((2 * Math.PI * random.below(2 ** 30)) / 2 ** 30);
  });
}

/** Integers from `low` to `high`, both included. */
export function integers(count: number, seed: number, [low, high]: [number, number]): number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => low + random.below(high - low + 1));
}

/** f32 to the upper half of its bits, halves to even. */
export function toBf16(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  return Uint16Array.from(bits, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16);
}

export function fromBf16(halves: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

export function toF16(values: ArrayLike<number>): Float16Array<ArrayBuffer> {
  return Float16Array.from(values);
}

/** Row `index` of a matrix whose rows start every `stride` elements. */
export function rowOf(
  x: Float32Array,
  index: number,
  { width, stride = width, start = 0 }: { width: number; stride?: number; start?: number },
): Float32Array {
  return x.subarray(start + index * stride, start + index * stride + width);
}

export function softmax(x: ArrayLike<number>): number[] {
  const values = Array.from(x);
  const largest = Math.max(...values);
  const weights = values.map((value) => Math.exp(value - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

export function rmsNorm(x: Float32Array, gamma: Float32Array, eps: number): number[] {
  let sum = 0;
  for (const value of x) sum += value * value;
  const inverse = 1 / Math.sqrt(sum / x.length + eps);
  return Array.from(x, (value, i) => gamma[i]! * value * inverse);
}

/** In f32, as the op defines it. */
export function quantizeRow(x: Float32Array, levels: number): { q: number[]; a: number } {
  let largest = fround(1e-5);
  for (const value of x) largest = Math.max(largest, Math.abs(value));
  const a = fround(levels / largest);
  const q = Array.from(x, (value) =>
    Math.max(-levels - 1, Math.min(levels, roundHalfEven(fround(value * a)))),
  );
  return { q, a };
}

export interface TernaryCase {
  q: ArrayLike<number>;
  a: number;
  weights: ArrayLike<number>;
  rowScale: Float32Array;
  bias?: Float32Array;
  residual?: Float32Array;
}

/** One row of ternary_matmul; every rounding is part of the definition. */
export function ternaryRow({ q, a, weights, rowScale, bias, residual }: TernaryCase): Float32Array {
  return rowScale.map((scale, n) => {
    let sum = 0;
    for (let k = 0; k < q.length; k += 1) sum += q[k]! * weights[n * q.length + k]!;
    let y = fround(fround(fround(sum) * scale) * fround(1 / a));
    if (bias) y = fround(y + bias[n]!);
    return residual ? fround(y + residual[n]!) : y;
  });
}

/** One row of int8_matmul. */
export function int8Row(
  { x, a }: { x: ArrayLike<number>; a: number },
  { w, wa }: { w: ArrayLike<number>; wa: Float32Array },
): Float32Array {
  return wa.map((divisor, n) => {
    let sum = 0;
    for (let k = 0; k < x.length; k += 1) sum += x[k]! * w[n * x.length + k]!;
    return fround(fround(fround(sum) * fround(1 / a)) * fround(1 / divisor));
  });
}

export function dot(x: ArrayLike<number>, w: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < x.length; k += 1) sum += x[k]! * w[k]!;
  return sum;
}

export const activations = {
  relu2: (x: number) => Math.max(x, 0) ** 2,
  silu: (x: number) => x / (1 + Math.exp(-x)),
};

export interface AttentionCase {
  q: Float32Array;
  /** By position, all of one group. */
  keys: readonly Float32Array[];
  values: readonly Float32Array[];
  scale: number;
}

/** One head of one row over all the positions given. */
export function attentionHead({ q, keys, values, scale }: AttentionCase): number[] {
  const weights = softmax(keys.map((key) => dot(q, key) * scale));
  return Array.from(q, (_, i) =>
    values.reduce((sum, value, at) => sum + weights[at]! * value[i]!, 0),
  );
}

/** The largest difference, as a share of the larger of 1 and what is wanted. */
export function worstError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) throw new Error(`${got.length} values, want ${want.length}`);
  let worst = 0;
  for (let i = 0; i < want.length; i += 1) {
    const error = Math.abs(got[i]! - want[i]!) / Math.max(1, Math.abs(want[i]!));
    // What is not a number is the worst.
    if (!(error <= worst)) worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  }
  return worst;
}
