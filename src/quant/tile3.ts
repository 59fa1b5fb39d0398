/**
 * tile3, the run-time packing of ternary weights at five a byte: what the vector kernels stream
 * through where memory is the limit.
 *
 * Rows are padded to a multiple of 32 and columns to one of 20, with weight 0. A tile of 32 rows
 * and 20 columns takes 128 bytes; tiles go along the columns of a row block, then to the next
 * block. Byte 64 h + 4 r + j of a tile holds row 16 h + r (h 0..1, r 0..15): the codes w + 1 of
 * its columns j, 4 + j, 8 + j, 12 + j, 16 + j (j 0..3), g0 to g4. The byte of five codes is made so
 * that one or two tables of 64 entries decode it. Format: docs/formats/tile3.md.
 */
import { refuseBytes, requireLength } from "./lengths.ts";

/** Rows of a tile. */
export const tile3Rows = 32;
/** Columns of a tile. */
export const tile3Columns = 20;
const tileBytes = (tile3Rows * tile3Columns) / 5;
/** Bytes from here on do not occur. */
const byteCount = 243;

/** Codes of each byte, five in a row: the inverse of `byteOf`. */
const codesOfByte = new Uint8Array(byteCount * 5);
for (let index = 0; index < byteCount; index++) {
  const codes = [1, 3, 9, 27, 81].map((power) => Math.floor(index / power) % 3);
  codesOfByte.set(codes, byteOf(codes) * 5);
}

/** The bytes that a matrix takes in tile3. */
export function tile3Bytes(rows: number, columns: number): number {
  return Math.ceil(rows / tile3Rows) * Math.ceil(columns / tile3Columns) * tileBytes;
}

/** Ternary weights to tiles. @throws BitNetError quant/wrong-length */
export function packTile3(
  ternary: Int8Array, // (rows, columns)
  rows: number,
  columns: number,
): Uint8Array<ArrayBuffer> {
  requireLength("ternary weights", rows * columns, ternary.length);
  const bytes = new Uint8Array(tile3Bytes(rows, columns));
  const codes = [1, 1, 1, 1, 1];
  forEachByte(rows, columns, (at, row, first) => {
    for (let group = 0; group < 5; group++) {
      const column = first + 4 * group;
      const inside = row < rows && column < columns;
      codes[group] = inside ? ternary[row * columns + column]! + 1 : 1;
    }
    bytes[at] = byteOf(codes);
  });
  return bytes;
}

/**
 * Tiles to ternary weights, without the padding.
 * @throws BitNetError quant/wrong-length, quant/not-ternary
 */
export function unpackTile3(bytes: Uint8Array, rows: number, columns: number): Int8Array {
  requireLength("tile3 bytes", tile3Bytes(rows, columns), bytes.length);
  const ternary = new Int8Array(rows * columns); // (rows, columns)
  forEachByte(rows, columns, (at, row, first) => {
    const byte = bytes[at]!;
    if (byte >= byteCount) refuseBytes("tile3", `byte ${byte} at ${at}`);
    for (let group = 0; group < 5; group++) {
      const column = first + 4 * group;
      if (row >= rows || column >= columns) continue;
      ternary[row * columns + column] = codesOfByte[byte * 5 + group]! - 1;
    }
  });
  return ternary;
}

/** The byte of five codes. */
function byteOf(codes: readonly number[]): number {
  const [g0, g1, g2, g3, g4] = codes as [number, number, number, number, number];
  const low = g0 + 3 * g1 + 9 * g3;
  if (low < 16) return 64 * g4 + 16 * g2 + low;
  const rest = 3 * (low - 16) + g2;
  if (rest < 16) return 64 * g4 + 48 + rest;
  if (rest < 32) return 192 + 16 * g4 + rest - 16;
  return 240 + g4;
}

/** Calls `each` for every byte with its row and the first of its columns. */
function forEachByte(
  rows: number,
  columns: number,
  each: (at: number, row: number, column: number) => void,
): void {
  const tilesAcross = Math.ceil(columns / tile3Columns);
  const size = tile3Bytes(rows, columns);
  for (let at = 0; at < size; at++) {
    const tile = Math.floor(at / tileBytes);
    const place = at % tileBytes;
    const row = Math.floor(tile / tilesAcross) * tile3Rows + Math.floor(place / 4);
    each(at, row, (tile % tilesAcross) * tile3Columns + (place % 4));
  }
}
