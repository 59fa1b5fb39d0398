/**
 * Conversion between plain dtypes, element by element, in plain JavaScript: the definition that the
 * kernels are compared with, and sources that hold every value or every kind of it.
 */
import type { PlainDType } from "../../src/memory/index.ts";
import { Random } from "../checkpoint/random.ts";

export const plainDTypes: readonly PlainDType[] = ["f32", "f16", "bf16", "i32", "i8", "u8", "i4"];

/** What tensors are cast among; i4 is none of them. */
export type CastDType = PlainDType | "f64" | "bool";

const floats = ["f32", "f16", "bf16", "f64"];
const bounds: Partial<Record<CastDType, [number, number]>> = {
  i32: [-(2 ** 31), 2 ** 31 - 1],
  i8: [-128, 127],
  u8: [0, 255],
  i4: [-8, 7],
};

export function isFloat(dtype: CastDType): boolean {
  return floats.includes(dtype);
}

/** The values that bytes hold. */
export function decode(dtype: CastDType, bytes: Uint8Array<ArrayBuffer>, count: number): number[] {
  const { buffer } = bytes.slice();
  switch (dtype) {
    case "f32":
      return [...new Float32Array(buffer, 0, count)];
    case "f64":
      return [...new Float64Array(buffer, 0, count)];
    case "f16":
      return [...new Float16Array(buffer, 0, count)];
    case "bf16":
      return [...new Uint16Array(buffer, 0, count)].map(bf16Value);
    case "i32":
      return [...new Int32Array(buffer, 0, count)];
    case "i8":
      return [...new Int8Array(buffer, 0, count)];
    case "u8":
    case "bool":
      return [...new Uint8Array(buffer, 0, count)];
    case "i4":
      return Array.from({ length: count }, (_, i) => {
        const nibble = (bytes[i >> 1]! >> (4 * (i & 1))) & 15;
        return nibble < 8 ? nibble : nibble - 16;
      });
  }
}

/** Bytes that hold the values, each rounded or clipped once. */
export function encode(dtype: CastDType, values: readonly number[]): Uint8Array<ArrayBuffer> {
  const codes = (): number[] => values.map((value) => clipped(dtype, value));
  switch (dtype) {
    case "f32":
      return new Uint8Array(Float32Array.from(values).buffer);
    case "f64":
      return new Uint8Array(Float64Array.from(values).buffer);
    case "bool":
      return Uint8Array.from(values, (value) => (value !== 0 ? 1 : 0));
    case "f16":
      return new Uint8Array(Float16Array.from(values).buffer);
    case "bf16":
      return new Uint8Array(Uint16Array.from(values, bf16Bits).buffer);
    case "i32":
      return new Uint8Array(Int32Array.from(codes()).buffer);
    case "i8":
    case "u8":
      return Uint8Array.from(codes());
    case "i4": {
      const bytes = new Uint8Array(Math.ceil(values.length / 2));
      codes().forEach((code, i) => {
        bytes[i >> 1]! |= (code & 15) << (4 * (i & 1));
      });
      return bytes;
    }
  }
}

export interface ReferenceKind {
  from: CastDType;
  to: CastDType;
  scale?: number;
  zeroPoint?: number;
}

/** The bytes that a conversion gives. */
export function converted(
  { from, to, scale = 1, zeroPoint = 0 }: ReferenceKind,
  source: Uint8Array<ArrayBuffer>,
  count: number,
): Uint8Array<ArrayBuffer> {
  const values = decode(from, source, count);
  if (to === "bool" || isFloat(from) === isFloat(to)) return encode(to, values);
  const step = Math.fround(scale);
  if (isFloat(from)) {
    const quotient = (x: number) => (from === "f64" ? x : Math.fround(x / step));
    const code = (x: number) => whole(quotient(x)) + zeroPoint;
    return encode(to, values.map(code));
  }
  if (scale === 1 && zeroPoint === 0) return encode(to, values);
  return encode(
    to,
    values.map((q) => Math.fround(Math.fround(q - zeroPoint) * step)),
  );
}

/** Half to even; 0 of what is not a number. */
export function whole(value: number): number {
  if (Number.isNaN(value)) return 0;
  const floor = Math.floor(value);
  const part = value - floor;
  if (part !== 0.5) return part < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

function clipped(dtype: CastDType, value: number): number {
  const [low, high] = bounds[dtype]!;
  return Math.min(high, Math.max(low, whole(value)));
}

function bf16Value(bits: number): number {
  return new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!;
}

/** The nearest of the neighbours, the even one of two as near. */
function bf16Bits(value: number): number {
  const upper = new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16;
  if (Number.isNaN(value)) return upper | 0x40;
  const magnitude = upper & 0x7fff;
  let best = magnitude;
  for (const bits of [magnitude - 1, magnitude, magnitude + 1]) {
    if (bits < 0 || bits > 0x7f80) continue;
    const distance = Math.abs(bf16Magnitude(bits) - Math.abs(value));
    const least = Math.abs(bf16Magnitude(best) - Math.abs(value));
    if (distance < least || (distance === least && bits % 2 === 0)) best = bits;
  }
  return (upper & 0x8000) | best;
}

/** Infinity stands where the next exponent would begin; infinite values are compared as it. */
function bf16Magnitude(bits: number): number {
  return bits === 0x7f80 ? 2 ** 128 : bf16Value(bits);
}

/** All values of the small dtypes; of the others edges and random bits. */
export function sourceOf(dtype: CastDType): { bytes: Uint8Array<ArrayBuffer>; count: number } {
  const bytes = sourceBytes(dtype);
  const bits = { f64: 64, f32: 32, i32: 32, f16: 16, bf16: 16, i8: 8, u8: 8, bool: 8, i4: 4 };
  // The last nibble of i4 is none of its elements.
  return { bytes, count: (bytes.byteLength * 8) / bits[dtype] - (dtype === "i4" ? 1 : 0) };
}

function sourceBytes(dtype: CastDType): Uint8Array<ArrayBuffer> {
  switch (dtype) {
    case "f16":
    case "bf16":
      return new Uint8Array(Uint16Array.from({ length: 65_536 }, (_, i) => i).buffer);
    case "i8":
    case "u8":
    case "i4":
      return Uint8Array.from({ length: 256 }, (_, i) => i);
    case "bool":
      return Uint8Array.from({ length: 256 }, (_, i) => (i * 7 + (i >> 3)) & 1);
    case "i32":
      return new Uint8Array(Int32Array.from(integerEdges()).buffer);
    case "f32":
      return new Uint8Array(Float32Array.from(floatEdges()).buffer);
    case "f64":
      return new Uint8Array(Float64Array.from(wideEdges()).buffer);
  }
}

function integerEdges(): number[] {
  const edges = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), -(2 ** 31) + 1];
  for (let bit = 2; bit < 31; bit += 1) {
    for (const near of [-1, 0, 1]) edges.push(2 ** bit + near, -(2 ** bit) + near);
    // Halves of the eight bits of bf16, and one on either side.
    for (const near of [-1, 0, 1]) edges.push(257 * 2 ** (bit - 9) + near);
  }
  const random = new Random(11);
  for (let i = 0; i < 2000; i += 1) edges.push(random.below(2 ** 32) - 2 ** 31);
  return edges.map((value) => value | 0);
}

function floatEdges(): number[] {
  const edges = [
    0,
    -0,
    Number.NaN,
    Infinity,
    -Infinity,
    3.4028235e38,
    1e-45,
    -1e-45,
    1.17549435e-38,
  ];
  for (const magnitude of [0.5, 1.5, 2.5, 126.5, 127.5, 128.5, 254.5, 255.5, 7.5, 8.5]) {
    edges.push(magnitude, -magnitude);
  }
  for (const power of [22, 23, 24, 30, 31, 32]) {
    for (const near of [-1.5, -0.5, 0, 0.5, 1.5])
      edges.push(2 ** power + near, -(2 ** power) + near);
  }
  // Midpoints of f16 and of bf16, and the next f32 on either side.
  for (const bits of [0x38800fff, 0x38801000, 0x38801001, 0x33000000, 0x33000001, 0x477fefff]) {
    edges.push(floatOf(bits), floatOf(bits | 0x8000_0000));
  }
  for (const bits of [0x3f808000, 0x3f818000, 0x3f808001, 0x477ff000, 0x7f7f8000, 0x00008000]) {
    edges.push(floatOf(bits), floatOf(bits | 0x8000_0000));
  }
  const random = new Random(12);
  for (let i = 0; i < 4000; i += 1) edges.push(floatOf(random.below(2 ** 32)));
  for (let i = 0; i < 2000; i += 1) edges.push((random.below(2 ** 20) - 2 ** 19) / 2048);
  return edges;
}

/** The edges of f32, and beside each what f32 would round to it. */
function wideEdges(): number[] {
  const edges = [1e300, -1e300, 1e-320, -1e-320, 2 ** 31 - 0.5, -(2 ** 31) - 0.5];
  for (const value of floatEdges()) {
    edges.push(value, value * (1 + 2 ** -40), value * (1 - 2 ** -40));
  }
  return edges;
}

function floatOf(bits: number): number {
  return new Float32Array(Uint32Array.of(bits).buffer)[0]!;
}

/** The same bits, but for what is not a number, whose bits may differ. */
export function sameValues(
  dtype: CastDType,
  got: Uint8Array<ArrayBuffer>,
  want: Uint8Array<ArrayBuffer>,
): boolean {
  if (Buffer.compare(got, want) === 0) return true;
  if (got.byteLength !== want.byteLength || !isFloat(dtype)) return false;
  const size = dtype === "f64" ? 8 : dtype === "f32" ? 4 : 2;
  const count = got.byteLength / size;
  const [left, right] = [decode(dtype, got, count), decode(dtype, want, count)];
  return left.every((value, i) => Object.is(value, right[i]));
}
