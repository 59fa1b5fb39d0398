/**
 * The plain dtypes: how many bits an element has, which typed array shows it, and how whatever
 * holds bytes is seen as bytes. bf16 is shown as Uint16Array, i4 as the Uint8Array of its pairs,
 * the low nibble first.
 */
import { BitNetError } from "../errors/index.ts";
import type { PlainName } from "../native/index.ts";

/** Dtypes that memory is converted among; tensors are cast to f64 and bool too. */
export type PlainDType = Exclude<PlainName, "f64" | "bool">;

/** The array that shows elements of a dtype. */
export interface PlainArrays {
  f32: Float32Array;
  f16: Float16Array;
  bf16: Uint16Array;
  i32: Int32Array;
  i8: Int8Array;
  u8: Uint8Array;
  i4: Uint8Array;
}

/** Native memory, shown as bytes that stay where they are until it is released. */
export interface NativeBlock {
  bytes(): Uint8Array;
}

/** What conversions read and write: views, buffers, and native blocks. */
export type PlainMemory = ArrayBufferView | ArrayBufferLike | NativeBlock;

export const plainBits: Readonly<Record<PlainDType, number>> = {
  f32: 32,
  f16: 16,
  bf16: 16,
  i32: 32,
  i8: 8,
  u8: 8,
  i4: 4,
};

/** The smallest and the largest value of the integers. */
export const integerRanges: Readonly<Partial<Record<PlainDType, readonly [number, number]>>> = {
  i32: [-(2 ** 31), 2 ** 31 - 1],
  i8: [-128, 127],
  u8: [0, 255],
  i4: [-8, 7],
};

type PlainConstructor<D extends PlainDType> = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, offset: number, length: number): PlainArrays[D];
};

const constructors: { readonly [D in PlainDType]: PlainConstructor<D> } = {
  f32: Float32Array,
  f16: Float16Array,
  bf16: Uint16Array,
  i32: Int32Array,
  i8: Int8Array,
  u8: Uint8Array,
  i4: Uint8Array,
};

/** Bytes of `count` elements. */
export function plainSize(dtype: PlainDType, count: number): number {
  return Math.ceil((count * plainBits[dtype]) / 8);
}

/** All bytes of a memory, not copied. */
export function bytesOf(memory: PlainMemory): Uint8Array {
  if (ArrayBuffer.isView(memory)) {
    return new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength);
  }
  return "bytes" in memory ? memory.bytes() : new Uint8Array(memory);
}

/** Whether a typed array of the dtype can lie over the bytes. */
export function isAligned(dtype: PlainDType, bytes: Uint8Array): boolean {
  return bytes.byteOffset % constructors[dtype].BYTES_PER_ELEMENT === 0;
}

/** The first `count` elements of the bytes as an array of the dtype, not copied. */
export function plainArray<D extends PlainDType>(
  dtype: D,
  bytes: Uint8Array,
  count: number,
): PlainArrays[D] {
  const Elements: PlainConstructor<D> = constructors[dtype];
  const length = plainSize(dtype, count) / Elements.BYTES_PER_ELEMENT;
  return new Elements(bytes.buffer, bytes.byteOffset, length);
}

/** @throws BitNetError `memory/invalid-option` */
export function requireDType(role: string, dtype: PlainDType): void {
  if (Object.hasOwn(plainBits, dtype)) return;
  throw new BitNetError(
    "memory/invalid-option",
    `${role}: want one of ${Object.keys(plainBits).join(", ")}, got ${dtype}`,
  );
}
