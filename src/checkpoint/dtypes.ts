/**
 * Sizes of the stored dtypes, and bytes = blocks(shape) * block bytes with every product checked.
 * Sizes come from files: a dimension or product past 2^53 is refused before anything uses it.
 */
import { quoted, refuse } from "./refuse.ts";
import type { StoredDType } from "./types.ts";

/** A block is the smallest group of values that is stored together. */
export interface BlockShape {
  values: number;
  bytes: number;
}

/**
 * Values and bytes of one block. I2_S has one float32 scale in a tail of 32 bytes besides.
 * Source: block structs of ggml-common.h, ggml-org/ggml.
 */
export const blockShapes: Record<StoredDType, BlockShape> = {
  F64: { values: 1, bytes: 8 },
  F32: { values: 1, bytes: 4 },
  F16: { values: 1, bytes: 2 },
  BF16: { values: 1, bytes: 2 },
  I64: { values: 1, bytes: 8 },
  I32: { values: 1, bytes: 4 },
  I16: { values: 1, bytes: 2 },
  I8: { values: 1, bytes: 1 },
  U8: { values: 1, bytes: 1 },
  BOOL: { values: 1, bytes: 1 },
  Q8_0: { values: 32, bytes: 34 },
  Q4_0: { values: 32, bytes: 18 },
  Q4_K: { values: 256, bytes: 144 },
  Q6_K: { values: 256, bytes: 210 },
  TQ1_0: { values: 256, bytes: 54 },
  TQ2_0: { values: 256, bytes: 66 },
  I2_S: { values: 128, bytes: 32 },
};

/** Bytes after the last block of an I2_S tensor: the scale and 28 zero bytes. */
export const i2sTailBytes = 32;

/** A tensor as a file describes it, before its size is known to be sound. */
export interface TensorClaim {
  file: string;
  name: string;
  dtype: StoredDType;
  shape: number[];
}

/**
 * The bytes a tensor of this dtype and shape takes.
 * @throws BitNetError checkpoint/size-overflow or checkpoint/shape-mismatch
 */
export function tensorBytes(claim: TensorClaim, i2sLayout: 64 | 128 = 128): number {
  const count = valueCount(claim);
  const block = blockShapes[claim.dtype];
  if (claim.dtype === "I2_S") {
    requireMultiple(claim, count, i2sLayout);
    return count / 4 + i2sTailBytes;
  }
  requireMultiple(claim, claim.shape.at(-1) ?? 1, block.values);
  const bytes = (count / block.values) * block.bytes;
  if (!Number.isSafeInteger(bytes)) overflow(claim);
  return bytes;
}

function valueCount(claim: TensorClaim): number {
  let count = 1;
  let hasZero = false;
  for (const extent of claim.shape) {
    if (!Number.isSafeInteger(extent) || extent < 0) overflow(claim);
    if (extent === 0) hasZero = true;
    else count *= extent;
    if (!Number.isSafeInteger(count)) overflow(claim);
  }
  return hasZero ? 0 : count;
}

function requireMultiple(claim: TensorClaim, extent: number, blockValues: number): void {
  if (extent % blockValues === 0) return;
  refuse("checkpoint/shape-mismatch", {
    file: claim.file,
    expected: `a multiple of ${blockValues} values in ${quoted(claim.name)} (${claim.dtype})`,
    got: `${extent} of shape [${claim.shape.join(", ")}]`,
  });
}

function overflow(claim: TensorClaim): never {
  refuse("checkpoint/size-overflow", {
    file: claim.file,
    expected: `a size below 2^53 bytes for ${quoted(claim.name)}`,
    got: `${claim.dtype} of shape [${claim.shape.join(", ")}]`,
  });
}
