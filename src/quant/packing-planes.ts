/**
 * Packings of ternary codes by planes: uncompressed, two bits, base 3, and two bits by rows.
 *
 * A sequence of n weights goes in blocks of 64 bytes; with d weights a byte (4 or 5) a block holds
 * 64 d of them, and the last one q = ceil(rest / d) bytes. Byte m of a block of q bytes holds its
 * weights m, q + m, 2 q + m, ...: so vectors unpack whole planes. Places past the end hold code 0.
 * Two bits: codes w + 1 from the lowest bits up. Base 3: the number of the codes, the first the
 * highest digit, as ceil(number 256 / 243). Format: docs/formats/packings.md.
 */
import { BitNetError } from "../errors/index.ts";
import { notTernary, requireLength } from "./lengths.ts";

/** Bytes of a block. */
export const planeBytes = 64;
/** Weights in a byte of two bits each, and in one of base 3. */
export const pairsPerByte = 4;
export const digitsPerByte = 5;

/** A byte for each weight. */
export function packBytes(codes: Int8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(codes.slice().buffer);
}

/** @throws BitNetError quant/wrong-length, quant/broken-packing */
export function unpackBytes(bytes: Uint8Array, count: number): Int8Array<ArrayBuffer> {
  requireLength("uncompressed weights, bytes", count, bytes.length);
  const codes = new Int8Array(bytes);
  const wrong = codes.findIndex((code) => code < -1 || code > 1);
  if (wrong >= 0) broken("uncompressed", wrong);
  return codes;
}

export function packPairs(codes: Int8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil(codes.length / pairsPerByte));
  eachPlane(codes.length, pairsPerByte, ({ at, from, count, plane }) => {
    for (let m = 0; m < count; m += 1) bytes[at + m]! |= (codes[from + m]! + 1) << (2 * plane);
  });
  return bytes;
}

/** @throws BitNetError quant/wrong-length, quant/not-ternary, quant/broken-packing */
export function unpackPairs(bytes: Uint8Array, count: number): Int8Array<ArrayBuffer> {
  requireLength("two-bit weights, bytes", Math.ceil(count / pairsPerByte), bytes.length);
  const codes = new Int8Array(count);
  const rest = bytes.slice();
  eachPlane(count, pairsPerByte, ({ at, from, count: width }) => {
    for (let m = 0; m < width; m += 1) {
      const code = rest[at + m]! & 3;
      if (code === 3) notTernary("two-bit weights", from + m);
      codes[from + m] = code - 1;
      rest[at + m]! >>= 2;
    }
  });
  const wrong = rest.findIndex((byte) => byte !== 0);
  if (wrong >= 0) broken("two-bit", wrong);
  return codes;
}

export function packDigits(codes: Int8Array): Uint8Array<ArrayBuffer> {
  const numbers = new Uint8Array(Math.ceil(codes.length / digitsPerByte));
  eachPlane(codes.length, digitsPerByte, ({ at, from, count, plane }) => {
    const worth = 3 ** (digitsPerByte - 1 - plane);
    for (let m = 0; m < count; m += 1) numbers[at + m]! += (codes[from + m]! + 1) * worth;
  });
  for (let m = 0; m < numbers.length; m += 1) numbers[m] = digitByte(numbers[m]!);
  return numbers;
}

/** @throws BitNetError quant/wrong-length, quant/broken-packing */
export function unpackDigits(bytes: Uint8Array, count: number): Int8Array<ArrayBuffer> {
  requireLength("base-3 weights, bytes", Math.ceil(count / digitsPerByte), bytes.length);
  const wrong = bytes.findIndex((byte) => digitByte((byte * 243) >> 8) !== byte);
  if (wrong >= 0) broken("base-3", wrong);
  const codes = new Int8Array(count);
  const rest = bytes.slice();
  eachPlane(count, digitsPerByte, ({ at, from, count: width }) => {
    for (let m = 0; m < width; m += 1) {
      const tripled = rest[at + m]! * 3;
      codes[from + m] = (tripled >> 8) - 1;
      rest[at + m] = tripled & 0xff;
    }
  });
  // What is left of a byte whose digits are all read is below a digit's worth.
  eachShort(count, (at, plane) => {
    const worth = 3 ** (digitsPerByte - plane);
    if (((bytes[at]! * 243) >> 8) % worth !== 0) broken("base-3", at);
  });
  return codes;
}

/** Two bits, each row a sequence of its own that begins at a whole byte. */
export function packRows(
  codes: Int8Array, // (rows, columns)
  [rows, columns]: readonly [number, number],
): Uint8Array<ArrayBuffer> {
  const rowBytes = Math.ceil(columns / pairsPerByte);
  const bytes = new Uint8Array(rows * rowBytes);
  for (let row = 0; row < rows; row += 1) {
    bytes.set(packPairs(codes.subarray(row * columns, (row + 1) * columns)), row * rowBytes);
  }
  return bytes;
}

/** @throws BitNetError quant/wrong-length, quant/not-ternary, quant/broken-packing */
export function unpackRows(
  bytes: Uint8Array,
  [rows, columns]: readonly [number, number],
): Int8Array<ArrayBuffer> {
  const rowBytes = Math.ceil(columns / pairsPerByte);
  requireLength("byte-aligned weights, bytes", rows * rowBytes, bytes.length);
  const codes = new Int8Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    const packed = bytes.subarray(row * rowBytes, (row + 1) * rowBytes);
    codes.set(unpackPairs(packed, columns), row * columns);
  }
  return codes;
}

/** @throws BitNetError quant/broken-packing always */
export function broken(packing: string, index: number): never {
  throw new BitNetError(
    "quant/broken-packing",
    `${packing} weights: want bytes as packing makes them, got others at ${index}; ` +
      "the file is damaged, or of another packing: fetch it again",
  );
}

/** A number of five digits, 0 to 242, as the fraction of 256 just above it. */
function digitByte(number: number): number {
  return Math.floor((number * 256 + 242) / 243);
}

interface Plane {
  /** The block's first byte. */
  at: number;
  /** The plane's first weight and how many it has. */
  from: number;
  count: number;
  /** Counts from 0 within the block. */
  plane: number;
}

function eachPlane(total: number, perByte: number, take: (plane: Plane) => void): void {
  const block = planeBytes * perByte;
  for (let start = 0; start < total; start += block) {
    const left = Math.min(block, total - start);
    const width = Math.ceil(left / perByte);
    for (let plane = 0; plane * width < left; plane += 1) {
      const from = start + plane * width;
      const count = Math.min(width, left - plane * width);
      take({ at: start / perByte, from, count, plane });
    }
  }
}

/** Bytes of the last block of base 3 that hold fewer than five digits, with how many. */
function eachShort(total: number, take: (at: number, digits: number) => void): void {
  const start = total - (total % (planeBytes * digitsPerByte));
  const left = total - start;
  const width = Math.ceil(left / digitsPerByte);
  for (let m = 0; m < width; m += 1) {
    const digits = Math.ceil((left - m) / width);
    if (digits < digitsPerByte) take(start / digitsPerByte + m, digits);
  }
}
