/**
 * The two quantizers of BitNet b1.58, in float32 with halves rounded to even.
 *
 *   weights      s = max(mean |W|, 1e-5) over the matrix,  T = clip(round(W * (1 / s)), -1, 1)
 *   activations  a = 127 / max(max |x|, 1e-5) per token,   q = clip(round(x * a), -128, 127)
 *
 * so W ~ T s and x ~ q / a. Source: WeightQuant, ActQuant of integrations/bitnet.py, transformers.
 */
const { abs, fround, max, min } = Math;

const floor = fround(1e-5);
/** Adding and taking away 1.5 * 2^52 leaves a float64 without fraction, halves to even. */
const roundShift = 1.5 * 2 ** 52;

/** Ternary weights and the scale that multiplies them. */
export interface Ternarized {
  ternary: Int8Array;
  scale: number;
}

/** One token's int8 activations and the factor they were multiplied by: x ~ q / scale. */
export interface QuantizedActivation {
  q: Int8Array;
  scale: number;
}

/** Quantizes a whole matrix by its mean magnitude. */
export function absmeanTernarize(w: Float32Array): Ternarized {
  let sum = 0;
  for (let i = 0; i < w.length; i++) sum += abs(w[i]!);
  const scale = max(fround(sum / w.length), floor);
  const inverse = fround(1 / scale);
  const ternary = new Int8Array(w.length);
  for (let i = 0; i < w.length; i++) {
    ternary[i] = max(-1, min(1, roundHalfEven(fround(w[i]! * inverse))));
  }
  return { ternary, scale };
}

/** Quantizes one token by its largest magnitude. */
export function quantizeActivation(row: Float32Array): QuantizedActivation {
  let largest = floor;
  for (let i = 0; i < row.length; i++) largest = max(largest, abs(row[i]!));
  const scale = fround(127 / largest);
  const q = new Int8Array(row.length);
  for (let i = 0; i < row.length; i++) {
    q[i] = max(-128, min(127, roundHalfEven(fround(row[i]! * scale))));
  }
  return { q, scale };
}

/** The nearest integer, the even one of two; exact while |x| < 2^51. */
export function roundHalfEven(x: number): number {
  return x + roundShift - roundShift;
}
