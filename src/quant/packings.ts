/**
 * The seven packings that ternary matrices are stored in, the hybrid of them, and the choice among
 * them from what a matrix is made of. All are lossless for every shape; bytes that no packing
 * makes are refused.
 *
 * Hybrid: blocks of 4096 weights, each the best of uncompressed, two-bit, base-3, run-length and
 * sparse for itself: a byte for which, u16 for its size, its bytes.
 * Format: docs/formats/packings.md.
 */
import { type PackingName, packingNames } from "../checkpoint/index.ts";
import { requireLength } from "./lengths.ts";
import {
  broken,
  digitsPerByte,
  packBytes,
  packDigits,
  packPairs,
  packRows,
  pairsPerByte,
  unpackBytes,
  unpackDigits,
  unpackPairs,
  unpackRows,
} from "./packing-planes.ts";
import { gapMax, packRuns, packSparse, runMax, unpackRuns, unpackSparse } from "./packing-runs.ts";

/** Rows and columns of a matrix. */
export type MatrixShape = readonly [rows: number, columns: number];

/** Weights of a block of the hybrid. */
export const hybridBlock = 4096;
const hybridHeaderBytes = 3;

/** What a block of the hybrid may be, by its id; byte-aligned would be two-bit again. */
const blockPackings = ["uncompressed", "two-bit", "base-3", "run-length", "sparse"] as const;

/** Ternary weights (rows, columns) to the bytes of a packing. @throws quant/wrong-length */
export function packMatrix(
  codes: Int8Array,
  shape: MatrixShape,
  packing: PackingName,
): Uint8Array<ArrayBuffer> {
  requireLength("ternary weights", shape[0] * shape[1], codes.length);
  if (packing === "byte-aligned") return packRows(codes, shape);
  return packing === "hybrid" ? packHybrid(codes) : packSequence(codes, packing);
}

/**
 * The bytes of a packing to ternary weights (rows, columns).
 * @throws BitNetError quant/wrong-length, quant/not-ternary, quant/broken-packing
 */
export function unpackMatrix(
  bytes: Uint8Array,
  shape: MatrixShape,
  packing: PackingName,
): Int8Array<ArrayBuffer> {
  const count = shape[0] * shape[1];
  if (packing === "byte-aligned") return unpackRows(bytes, shape);
  return packing === "hybrid" ? unpackHybrid(bytes, count) : unpackSequence(bytes, count, packing);
}

/** What a matrix is made of, and what it would take. */
export interface PackingReport {
  /** Share of weights that are 0. */
  sparsity: number;
  /** Mean length of runs of equal weights, and the longest. */
  runMean: number;
  runLongest: number;
  /** Bytes in each packing. */
  sizes: Record<PackingName, number>;
  /** The smallest; of equals the one that unpacks quickest, which stands first. */
  best: PackingName;
}

/** Measures a matrix and chooses its packing. @throws quant/wrong-length */
export function choosePacking(codes: Int8Array, shape: MatrixShape): PackingReport {
  const [rows, columns] = shape;
  const count = rows * columns;
  requireLength("ternary weights", count, codes.length);
  const total = new Tally(codes, 0, count);
  const sizes: Record<PackingName, number> = {
    ...total.sizes(),
    "byte-aligned": rows * Math.ceil(columns / pairsPerByte),
    hybrid: 0,
  };
  for (let start = 0; start < count; start += hybridBlock) {
    const block = new Tally(codes, start, Math.min(count, start + hybridBlock)).sizes();
    sizes.hybrid += hybridHeaderBytes + Math.min(...Object.values(block));
  }
  return {
    sparsity: count === 0 ? 0 : total.zeros / count,
    runMean: count === 0 ? 0 : count / total.runs,
    runLongest: total.runLongest,
    sizes,
    best: smallest(packingNames, sizes),
  };
}

type SequencePacking = (typeof blockPackings)[number];

/** Counts of a sequence, from which each packing's size follows. */
class Tally {
  zeros = 0;
  runs = 0;
  runLongest = 0;
  #runBytes = 0;
  #sparseBytes = 0;
  readonly #count: number;

  constructor(codes: Int8Array, start: number, end: number) {
    this.#count = end - start;
    let runStart = start;
    let gap = 0;
    for (let index = start; index < end; index += 1) {
      const code = codes[index]!;
      if (code === 0) gap += 1;
      else {
        this.#sparseBytes += 1 + Math.floor(gap / gapMax);
        gap = 0;
      }
      if (code === 0) this.zeros += 1;
      if (index + 1 < end && codes[index + 1] === code) continue;
      const length = index + 1 - runStart;
      this.runs += 1;
      this.#runBytes += Math.ceil(length / runMax);
      if (length > this.runLongest) this.runLongest = length;
      runStart = index + 1;
    }
  }

  sizes(): Record<SequencePacking, number> {
    return {
      uncompressed: this.#count,
      "two-bit": Math.ceil(this.#count / pairsPerByte),
      "base-3": Math.ceil(this.#count / digitsPerByte),
      "run-length": this.#runBytes,
      sparse: this.#sparseBytes,
    };
  }
}

function smallest<Name extends string>(
  names: readonly Name[],
  sizes: Readonly<Record<Name, number>>,
): Name {
  return names.reduce((best, name) => (sizes[name] < sizes[best] ? name : best));
}

function packSequence(codes: Int8Array, packing: SequencePacking): Uint8Array<ArrayBuffer> {
  switch (packing) {
    case "uncompressed":
      return packBytes(codes);
    case "two-bit":
      return packPairs(codes);
    case "base-3":
      return packDigits(codes);
    case "run-length":
      return packRuns(codes);
    case "sparse":
      return packSparse(codes);
  }
}

function unpackSequence(
  bytes: Uint8Array,
  count: number,
  packing: SequencePacking,
): Int8Array<ArrayBuffer> {
  switch (packing) {
    case "uncompressed":
      return unpackBytes(bytes, count);
    case "two-bit":
      return unpackPairs(bytes, count);
    case "base-3":
      return unpackDigits(bytes, count);
    case "run-length":
      return unpackRuns(bytes, count);
    case "sparse":
      return unpackSparse(bytes, count);
  }
}

function packHybrid(codes: Int8Array): Uint8Array<ArrayBuffer> {
  const blockCount = Math.ceil(codes.length / hybridBlock);
  // Two bits and its header bound every block.
  const bytes = new Uint8Array(blockCount * (hybridHeaderBytes + hybridBlock / pairsPerByte));
  const view = new DataView(bytes.buffer);
  let size = 0;
  for (let start = 0; start < codes.length; start += hybridBlock) {
    const block = codes.subarray(start, start + hybridBlock);
    const packing = smallest(blockPackings, new Tally(block, 0, block.length).sizes());
    const packed = packSequence(block, packing);
    bytes[size] = blockPackings.indexOf(packing);
    view.setUint16(size + 1, packed.length, true);
    bytes.set(packed, size + hybridHeaderBytes);
    size += hybridHeaderBytes + packed.length;
  }
  return bytes.slice(0, size);
}

function unpackHybrid(bytes: Uint8Array, count: number): Int8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const codes = new Int8Array(count);
  let at = 0;
  for (let start = 0; start < count; start += hybridBlock) {
    const packing = blockPackings[bytes[at] ?? blockPackings.length];
    if (packing === undefined || at + hybridHeaderBytes > bytes.length) broken("hybrid", at);
    const end = at + hybridHeaderBytes + view.getUint16(at + 1, true);
    if (end > bytes.length) broken("hybrid", at);
    const length = Math.min(hybridBlock, count - start);
    const packed = bytes.subarray(at + hybridHeaderBytes, end);
    codes.set(unpackSequence(packed, length, packing), start);
    at = end;
  }
  if (at !== bytes.length) broken("hybrid", at);
  return codes;
}
