/**
 * Stored blocks to float32, as gguf-py defines them: every product and difference is rounded to
 * float32 in the order written here, so the values are equal bit for bit.
 * Source: dequantize_blocks of gguf-py/gguf/quants.py in ggml-org/llama.cpp; docs/formats/gguf.md.
 */
import { blockShapes, type StoredDType } from "../checkpoint/index.ts";
import { requireLength, requireMultiple } from "./lengths.ts";
import { decodeTq1_0 } from "./tq-blocks.ts";

type FloatDType = Extract<StoredDType, "F32" | "F16" | "BF16">;
type BlockDType = Extract<StoredDType, "Q8_0" | "Q4_0" | "Q4_K" | "Q6_K" | "TQ1_0" | "TQ2_0">;

/** Dtypes that `dequantizeBlocks` turns into float32. */
export type DequantizableDType = FloatDType | BlockDType;

const { fround } = Math;

/**
 * `count` values of `dtype`.
 * @throws BitNetError quant/wrong-length when bytes and count do not fit
 */
export function dequantizeBlocks(
  dtype: DequantizableDType,
  bytes: Uint8Array,
  count: number,
): Float32Array<ArrayBuffer> {
  const block = blockShapes[dtype];
  requireMultiple(`${dtype} values`, count, block.values);
  requireLength(`${dtype} bytes`, (count / block.values) * block.bytes, bytes.length);
  const values = new Float32Array(count);
  if (dtype === "F32" || dtype === "F16" || dtype === "BF16") {
    readFloats(dtype, bytes, values);
    return values;
  }
  const readBlock = blockReaders[dtype];
  for (let at = 0, start = 0; start < count; at += block.bytes, start += block.values) {
    const one = bytes.subarray(at, at + block.bytes);
    readBlock(one, values.subarray(start, start + block.values));
  }
  return values;
}

function readFloats(dtype: FloatDType, bytes: Uint8Array, values: Float32Array): void {
  const view = viewOf(bytes);
  if (dtype === "F32") {
    for (let i = 0; i < values.length; i++) values[i] = view.getFloat32(4 * i, true);
  } else if (dtype === "F16") {
    for (let i = 0; i < values.length; i++) values[i] = view.getFloat16(2 * i, true);
  } else {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    for (let i = 0; i < bits.length; i++) bits[i] = view.getUint16(2 * i, true) << 16;
  }
}

type ReadBlock = (block: Uint8Array, y: Float32Array) => void;

const blockReaders: Record<BlockDType, ReadBlock> = {
  Q8_0: readQ8_0,
  Q4_0: readQ4_0,
  Q4_K: readQ4_K,
  Q6_K: readQ6_K,
  TQ1_0: readTq1_0,
  TQ2_0: readTq2_0,
};

/** Scale d, then 32 int8: y = d q. */
function readQ8_0(block: Uint8Array, y: Float32Array): void {
  const view = viewOf(block);
  const d = view.getFloat16(0, true);
  for (let i = 0; i < 32; i++) y[i] = d * view.getInt8(2 + i);
}

/** Scale d, then 16 bytes: low nibbles are values 0..15, high ones 16..31; y = d (q - 8). */
function readQ4_0(block: Uint8Array, y: Float32Array): void {
  const d = viewOf(block).getFloat16(0, true);
  for (let i = 0; i < 16; i++) {
    y[i] = d * ((block[2 + i]! & 15) - 8);
    y[16 + i] = d * ((block[2 + i]! >> 4) - 8);
  }
}

/**
 * d, dmin, eight 6-bit scales and minima in 12 bytes, 128 bytes of nibbles:
 * y = (d sc) q - (dmin m) per 32 values; 32 bytes hold two such groups, low nibbles first.
 */
function readQ4_K(block: Uint8Array, y: Float32Array): void {
  const view = viewOf(block);
  const d = view.getFloat16(0, true);
  const dMin = view.getFloat16(2, true);
  const packed = block.subarray(4, 16);
  const nibbles = block.subarray(16);
  for (let group = 0; group < 8; group++) {
    const { scale, minimum } = q4_kScale(packed, group);
    const step = fround(d * scale);
    const floor = fround(dMin * minimum);
    const shift = (group & 1) * 4;
    const from = (group >> 1) * 32;
    for (let i = 0; i < 32; i++) {
      const q = (nibbles[from + i]! >> shift) & 15;
      y[group * 32 + i] = fround(step * q) - floor;
    }
  }
}

/** Groups 0..3 hold 6 bits whole; 4..7 hold 4 bits, their top two above those of group - 4. */
function q4_kScale(packed: Uint8Array, group: number): { scale: number; minimum: number } {
  if (group < 4) return { scale: packed[group]! & 63, minimum: packed[group + 4]! & 63 };
  const low = packed[group + 4]!;
  return {
    scale: (low & 15) | ((packed[group - 4]! >> 6) << 4),
    minimum: (low >> 4) | ((packed[group]! >> 6) << 4),
  };
}

/**
 * 128 bytes of low nibbles, 64 of high bit pairs, 16 int8 scales, d: y = (d sc) (q - 32), a scale
 * per 16 values. Each half of 128 values takes 64 bytes of nibbles and 32 of pairs.
 */
function readQ6_K(block: Uint8Array, y: Float32Array): void {
  const view = viewOf(block);
  const d = view.getFloat16(208, true);
  for (let i = 0; i < 256; i++) {
    const half = i >> 7;
    const quarter = (i >> 5) & 3;
    const column = i & 31;
    const low = block[half * 64 + (quarter & 1) * 32 + column]! >> ((quarter >> 1) * 4);
    const high = block[128 + half * 32 + column]! >> (2 * quarter);
    const q = ((low & 15) | ((high & 3) << 4)) - 32;
    y[i] = fround(d * view.getInt8(192 + (i >> 4))) * q;
  }
}

function readTq1_0(block: Uint8Array, y: Float32Array): void {
  const { ternary, scales } = decodeTq1_0(block, y.length);
  for (let i = 0; i < y.length; i++) y[i] = scales[0]! * ternary[i]!;
}

/** As `decodeTq2_0`, but code 3 is the value 2 here, as it is to gguf-py. */
function readTq2_0(block: Uint8Array, y: Float32Array): void {
  const d = viewOf(block).getFloat16(64, true);
  for (let i = 0; i < 256; i++) {
    const code = (block[(i >> 7) * 32 + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
    y[i] = d * (code - 1);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
