/**
 * nibble4, the run-time packing of an int8 head: two planes, w + 128 = 16 high + low, of nibbles.
 *
 * Rows are padded to a multiple of 4 and columns to one of 128, with weight 0. A block of 4 rows
 * holds chunks of 128 columns, a chunk a line of 64 bytes for each row: byte j has column j of the
 * chunk in its low nibble and column 64 + j in its high one. Format: docs/formats/nibble4.md.
 */
import { requireLength } from "./lengths.ts";

const blockRows = 4;
const chunkColumns = 128;
const lineBytes = chunkColumns / 2;

/** An int8 matrix in planes, and what is told of each row's low plane. */
export interface Nibble4 {
  high: Uint8Array<ArrayBuffer>;
  low: Uint8Array<ArrayBuffer>;
  /** Mean of a row's low nibbles. */
  centre: Float32Array<ArrayBuffer>;
  /** Their standard deviation. */
  spread: Float32Array<ArrayBuffer>;
}

/** Int8 weights to planes. @throws BitNetError quant/wrong-length */
export function packNibble4(
  codes: Int8Array, // (rows, columns)
  rows: number,
  columns: number,
): Nibble4 {
  requireLength("int8 weights", rows * columns, codes.length);
  const chunks = Math.ceil(columns / chunkColumns);
  const lines = Math.ceil(rows / blockRows) * blockRows * chunks;
  const high = new Uint8Array(lines * lineBytes).fill(0x88);
  const low = new Uint8Array(lines * lineBytes);
  const centre = new Float32Array(rows);
  const spread = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    let squares = 0;
    for (let column = 0; column < columns; column++) {
      const byte = codes[row * columns + column]! + 128;
      const chunk = Math.floor(row / blockRows) * chunks + Math.floor(column / chunkColumns);
      const at = (chunk * blockRows + (row % blockRows)) * lineBytes + (column % lineBytes);
      const shift = column % chunkColumns < lineBytes ? 0 : 4;
      high[at] = (high[at]! & ~(15 << shift)) | ((byte >> 4) << shift);
      low[at] = low[at]! | ((byte & 15) << shift);
      sum += byte & 15;
      squares += (byte & 15) ** 2;
    }
    centre[row] = sum / Math.max(columns, 1);
    spread[row] = Math.sqrt(columns * squares - sum * sum) / Math.max(columns, 1);
  }
  return { high, low, centre, spread };
}
