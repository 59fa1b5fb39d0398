/**
 * tile2, the run-time packing of ternary weights: what the vector kernels stream through.
 *
 * Rows are padded to a multiple of 32 and columns to one of 16, with weight 0. A tile of 32 rows
 * and 16 columns takes 128 bytes; tiles go along the columns of a row block, then to the next
 * block. Byte 64 h + 4 r + j of a tile holds row 16 h + r (h 0..1, r 0..15): the codes w + 1 of
 * its columns j, 4 + j, 8 + j, 12 + j (j 0..3) in bits 0-1, 2-3, 4-5, 6-7.
 * Format: docs/formats/tile2.md.
 */
import { notTernary, requireLength } from "./lengths.ts";

/** Rows of a tile. */
export const tile2Rows = 32;
/** Columns of a tile. */
export const tile2Columns = 16;
const tileBytes = (tile2Rows * tile2Columns) / 4;
/** Four codes of weight 0. */
const zeroByte = 0b01010101;

/** The bytes that a matrix takes in tile2. */
export function tile2Bytes(rows: number, columns: number): number {
  return Math.ceil(rows / tile2Rows) * Math.ceil(columns / tile2Columns) * tileBytes;
}

/** Ternary weights to tiles. @throws BitNetError quant/wrong-length */
export function packTile2(
  ternary: Int8Array, // (rows, columns)
  rows: number,
  columns: number,
): Uint8Array<ArrayBuffer> {
  requireLength("ternary weights", rows * columns, ternary.length);
  const bytes = new Uint8Array(tile2Bytes(rows, columns)).fill(zeroByte);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const { byte, shift } = placeOf(row, column, columns);
      const code = ternary[row * columns + column]! + 1;
      bytes[byte] = (bytes[byte]! & ~(3 << shift)) | (code << shift);
    }
  }
  return bytes;
}

/**
 * Tiles to ternary weights, without the padding.
 * @throws BitNetError quant/wrong-length, quant/not-ternary
 */
export function unpackTile2(bytes: Uint8Array, rows: number, columns: number): Int8Array {
  requireLength("tile2 bytes", tile2Bytes(rows, columns), bytes.length);
  const ternary = new Int8Array(rows * columns); // (rows, columns)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const { byte, shift } = placeOf(row, column, columns);
      const code = (bytes[byte]! >> shift) & 3;
      if (code === 3) notTernary("tile2", row * columns + column);
      ternary[row * columns + column] = code - 1;
    }
  }
  return ternary;
}

function placeOf(row: number, column: number, columns: number): { byte: number; shift: number } {
  const tilesAcross = Math.ceil(columns / tile2Columns);
  const tile = Math.floor(row / tile2Rows) * tilesAcross + Math.floor(column / tile2Columns);
  const rowInTile = row % tile2Rows; // 64 h + 4 r is 4 times this
  const columnInTile = column % tile2Columns;
  return {
    byte: tile * tileBytes + rowInTile * 4 + (columnInTile % 4),
    shift: 2 * Math.floor(columnInTile / 4),
  };
}
