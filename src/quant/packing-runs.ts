/**
 * Packings of ternary codes whose size depends on them.
 *
 * Run-length: a byte for a run of 1 to 64 equal weights, code w + 1 in bits 0-1, length - 1 in
 * bits 2-7. Sparse: a byte for each weight that is not 0, its sign in bit 7, the zeros before it
 * in bits 0-6 (0 to 126); byte 127 stands for 127 zeros alone; zeros at the end take nothing.
 * Format: docs/formats/packings.md.
 */
import { notTernary } from "./lengths.ts";
import { broken } from "./packing-planes.ts";

/** Longest run of a byte. */
export const runMax = 64;
/** Zeros that the byte for zeros alone stands for: one more than fit before a weight. */
export const gapMax = 127;
const negative = 0x80;

export function packRuns(codes: Int8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(codes.length);
  let size = 0;
  for (let start = 0; start < codes.length; ) {
    const code = codes[start]!;
    const limit = Math.min(codes.length, start + runMax);
    let end = start + 1;
    while (end < limit && codes[end] === code) end += 1;
    bytes[size] = (code + 1) | ((end - start - 1) << 2);
    size += 1;
    start = end;
  }
  return bytes.slice(0, size);
}

/** @throws BitNetError quant/not-ternary, quant/broken-packing */
export function unpackRuns(bytes: Uint8Array, count: number): Int8Array<ArrayBuffer> {
  const codes = new Int8Array(count);
  let at = 0;
  for (const [index, byte] of bytes.entries()) {
    const code = byte & 3;
    const end = at + (byte >> 2) + 1;
    if (code === 3) notTernary("run-length weights", at);
    if (end > count) broken("run-length", index);
    codes.fill(code - 1, at, end);
    at = end;
  }
  if (at !== count) broken("run-length", bytes.length);
  return codes;
}

export function packSparse(codes: Int8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(codes.length);
  let size = 0;
  let gap = 0;
  for (let index = 0; index < codes.length; index += 1) {
    const code = codes[index]!;
    if (code === 0) {
      gap += 1;
      continue;
    }
    for (; gap >= gapMax; gap -= gapMax) bytes[size++] = gapMax;
    bytes[size++] = gap | (code < 0 ? negative : 0);
    gap = 0;
  }
  return bytes.slice(0, size);
}

/** @throws BitNetError quant/broken-packing */
export function unpackSparse(bytes: Uint8Array, count: number): Int8Array<ArrayBuffer> {
  const codes = new Int8Array(count);
  let at = 0;
  for (const [index, byte] of bytes.entries()) {
    at += byte & gapMax;
    if (byte === gapMax) continue;
    if (byte === (gapMax | negative) || at >= count) broken("sparse", index);
    codes[at] = byte & negative ? -1 : 1;
    at += 1;
  }
  if (at > count) broken("sparse", bytes.length);
  return codes;
}
