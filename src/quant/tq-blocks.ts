/**
 * TQ1_0 and TQ2_0 of GGUF: blocks of 256 ternary weights with a float16 scale each, d * w.
 *
 * TQ2_0: two bits a weight, code w + 1; byte 32 h + m holds weights 128 h + 32 l + m, l = 0..3.
 * TQ1_0: base 3, a byte is ceil(n 256 / 243) for the number n of five digits w + 1, the first digit
 * highest; a digit comes back as the carry of byte * 3. Three runs: 32 bytes of five digits, 16
 * bytes of five, 4 bytes of four (written as five, the last 0).
 * Source: block_tq1_0, block_tq2_0 and their quantizers in ggml-quants.c, ggml-org/ggml.
 */
import { notTernary, requireLength, requireMultiple } from "./lengths.ts";

/** Ternary weights with the scale of each block. */
export interface TernaryBlocks {
  ternary: Int8Array;
  scales: Float32Array;
}

const blockValues = 256;
const tq1Bytes = 54;
const tq2Bytes = 66;

/** The runs of a TQ1_0 block: digit j of byte `byte + m` is weight `value + j * width + m`. */
const tq1Runs = [
  { byte: 0, value: 0, width: 32, digits: 5 },
  { byte: 32, value: 160, width: 16, digits: 5 },
  { byte: 48, value: 240, width: 4, digits: 4 },
] as const;

/** @throws BitNetError quant/wrong-length */
export function decodeTq1_0(bytes: Uint8Array, count: number): TernaryBlocks {
  return decodeBlocks({ bytes, count, blockBytes: tq1Bytes, name: "TQ1_0" }, (block, into) => {
    for (const { byte, value, width, digits } of tq1Runs) {
      for (let m = 0; m < width; m++) {
        let rest = block[byte + m]!;
        for (let j = 0; j < digits; j++) {
          const tripled = rest * 3;
          into[value + j * width + m] = (tripled >> 8) - 1;
          rest = tripled & 0xff;
        }
      }
    }
  });
}

/** @throws BitNetError quant/wrong-length, quant/not-ternary */
export function decodeTq2_0(bytes: Uint8Array, count: number): TernaryBlocks {
  return decodeBlocks(
    { bytes, count, blockBytes: tq2Bytes, name: "TQ2_0" },
    (block, into, base) => {
      for (let index = 0; index < blockValues; index++) {
        const code = (block[tq2Byte(index)]! >> tq2Shift(index)) & 3;
        if (code === 3) notTernary("TQ2_0", base + index);
        into[index] = code - 1;
      }
    },
  );
}

/**
 * Blocks of zeros get scale 0, all others float16(`scale`).
 * @throws BitNetError quant/wrong-length
 */
export function encodeTq1_0(ternary: Int8Array, scale: number): Uint8Array<ArrayBuffer> {
  return encodeBlocks({ ternary, scale, blockBytes: tq1Bytes }, (weights, block) => {
    for (const { byte, value, width, digits } of tq1Runs) {
      for (let m = 0; m < width; m++) {
        let number = 0;
        for (let j = 0; j < 5; j++) {
          number = number * 3 + (j < digits ? weights[value + j * width + m]! + 1 : 0);
        }
        block[byte + m] = Math.floor((number * 256 + 242) / 243);
      }
    }
  });
}

/**
 * Blocks of zeros get scale 0, all others float16(`scale`).
 * @throws BitNetError quant/wrong-length
 */
export function encodeTq2_0(ternary: Int8Array, scale: number): Uint8Array<ArrayBuffer> {
  return encodeBlocks({ ternary, scale, blockBytes: tq2Bytes }, (weights, block) => {
    for (let index = 0; index < blockValues; index++) {
      block[tq2Byte(index)]! |= (weights[index]! + 1) << tq2Shift(index);
    }
  });
}

function tq2Byte(index: number): number {
  return (index >> 7) * 32 + (index & 31);
}

function tq2Shift(index: number): number {
  return 2 * ((index >> 5) & 3);
}

interface DecodeParts {
  bytes: Uint8Array;
  count: number;
  blockBytes: number;
  name: string;
}

type DecodeBlock = (block: Uint8Array, into: Int8Array, base: number) => void;

/** The scale is the float16 in the last two bytes of a block. */
function decodeBlocks(parts: DecodeParts, decode: DecodeBlock): TernaryBlocks {
  const { bytes, count, blockBytes, name } = parts;
  requireMultiple(`${name} weights`, count, blockValues);
  const blockCount = count / blockValues;
  requireLength(`${name} bytes`, blockCount * blockBytes, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const ternary = new Int8Array(count);
  const scales = new Float32Array(blockCount);
  for (let index = 0; index < blockCount; index++) {
    const start = index * blockBytes;
    const base = index * blockValues;
    scales[index] = view.getFloat16(start + blockBytes - 2, true);
    const into = ternary.subarray(base, base + blockValues);
    decode(bytes.subarray(start, start + blockBytes), into, base);
  }
  return { ternary, scales };
}

interface EncodeParts {
  ternary: Int8Array;
  scale: number;
  blockBytes: number;
}

type EncodeBlock = (weights: Int8Array, block: Uint8Array) => void;

function encodeBlocks(parts: EncodeParts, encode: EncodeBlock): Uint8Array<ArrayBuffer> {
  const { ternary, scale, blockBytes } = parts;
  requireMultiple("ternary weights", ternary.length, blockValues);
  const blockCount = ternary.length / blockValues;
  const bytes = new Uint8Array(blockCount * blockBytes);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < blockCount; index++) {
    const weights = ternary.subarray(index * blockValues, (index + 1) * blockValues);
    const start = index * blockBytes;
    encode(weights, bytes.subarray(start, start + blockBytes));
    const isZero = weights.every((weight) => weight === 0);
    view.setFloat16(start + blockBytes - 2, isZero ? 0 : scale, true);
  }
  return bytes;
}
