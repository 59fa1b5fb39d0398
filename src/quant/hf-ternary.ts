/**
 * The packing of Hugging Face checkpoints: (out, in) ternary weights in (out / 4, in) bytes.
 *
 * With n = ceil(out / 4): byte[r, c] = sum over j in 0..3 of (w[j n + r, c] + 1) << 2 j, so a byte
 * holds the same column of four rows a quarter of the matrix apart. Rows past `out` hold code 0.
 * Format: docs/formats/hf-ternary.md.
 */
import { notTernary, requireLength } from "./lengths.ts";

/**
 * Packed bytes to weights (4 n, in); with `rows` only the first that many of them.
 * @throws BitNetError quant/wrong-length, quant/not-ternary
 */
export function unpackHfTernary(
  bytes: Uint8Array, // (outQuarter, inCount)
  [outQuarter, inCount]: readonly [number, number],
  rows: number = 4 * outQuarter,
): Int8Array {
  const quarter = outQuarter * inCount;
  requireLength("packed weights, bytes", quarter, bytes.length);
  const ternary = new Int8Array(rows * inCount);
  for (let index = 0; index < ternary.length; index++) {
    const part = Math.floor(index / quarter);
    const code = (bytes[index - part * quarter]! >> (2 * part)) & 3;
    if (code === 3) notTernary("packed weights", index);
    ternary[index] = code - 1;
  }
  return ternary;
}

/**
 * Weights to packed bytes (ceil(out / 4), in).
 * @throws BitNetError quant/wrong-length
 */
export function packHfTernary(
  ternary: Int8Array, // (outCount, inCount)
  [outCount, inCount]: readonly [number, number],
): Uint8Array<ArrayBuffer> {
  requireLength("ternary weights", outCount * inCount, ternary.length);
  const quarter = Math.ceil(outCount / 4) * inCount;
  const bytes = new Uint8Array(quarter);
  for (let index = 0; index < ternary.length; index++) {
    const part = Math.floor(index / quarter);
    bytes[index - part * quarter]! |= (ternary[index]! + 1) << (2 * part);
  }
  return bytes;
}
