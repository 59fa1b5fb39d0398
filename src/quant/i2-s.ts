/**
 * I2_S of microsoft's GGUF files: two bits a weight over the whole tensor and one float32 scale.
 *
 * A block of L weights (the layout: 128, or 64 in files made on ARM) takes L / 4 bytes: byte p
 * holds weights p, L/4 + p, L/2 + p, 3L/4 + p in bits 7-6, 5-4, 3-2, 1-0, code w + 1. After the
 * last block come the scale and 28 zero bytes: n / 4 + 32 bytes. Format: docs/formats/i2_s.md.
 */
import { i2sTailBytes } from "../checkpoint/index.ts";
import { notTernary, requireLength, requireMultiple } from "./lengths.ts";
import type { TernaryBlocks } from "./tq-blocks.ts";

/** Weights in a block. */
export type I2sLayout = 64 | 128;

/**
 * Weights and the one scale of a tensor.
 * @throws BitNetError quant/wrong-length, quant/not-ternary
 */
export function decodeI2_S(
  bytes: Uint8Array,
  count: number,
  layout: I2sLayout = 128,
): TernaryBlocks {
  requireMultiple("I2_S weights", count, layout);
  requireLength("I2_S bytes", count / 4 + i2sTailBytes, bytes.length);
  const ternary = new Int8Array(count);
  for (let index = 0; index < count; index++) {
    const code = (bytes[byteOf(index, layout)]! >> shiftOf(index, layout)) & 3;
    if (code === 3) notTernary("I2_S", index);
    ternary[index] = code - 1;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { ternary, scales: Float32Array.of(view.getFloat32(count / 4, true)) };
}

/** The bytes of a tensor, its tail included. @throws BitNetError quant/wrong-length */
export function encodeI2_S(
  ternary: Int8Array,
  scale: number,
  layout: I2sLayout = 128,
): Uint8Array<ArrayBuffer> {
  requireMultiple("ternary weights", ternary.length, layout);
  const bytes = new Uint8Array(ternary.length / 4 + i2sTailBytes);
  for (let index = 0; index < ternary.length; index++) {
    bytes[byteOf(index, layout)]! |= (ternary[index]! + 1) << shiftOf(index, layout);
  }
  new DataView(bytes.buffer).setFloat32(ternary.length / 4, scale, true);
  return bytes;
}

function byteOf(index: number, layout: I2sLayout): number {
  const quarter = layout / 4;
  return Math.floor(index / layout) * quarter + (index % quarter);
}

function shiftOf(index: number, layout: I2sLayout): number {
  return 6 - 2 * Math.floor((index % layout) / (layout / 4));
}
