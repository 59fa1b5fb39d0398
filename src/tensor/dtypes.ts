/**
 * Element types of tensors, and which one an operation on two of them has: bool, then integers,
 * then floats; within floats the wider one, f16 with bf16 giving f32; within integers the wider
 * one, u8 with i8 giving i32. A plain number takes the tensor's dtype, unless it has a fraction
 * and the tensor holds none.
 */
import { BitNetError } from "../errors/index.ts";
import { isFloat } from "../graph/index.ts";

/** What a tensor's elements can be. */
export type DType = "f32" | "f16" | "bf16" | "f64" | "i32" | "i8" | "u8" | "bool";

export const dtypes: readonly DType[] = ["f32", "f16", "bf16", "f64", "i32", "i8", "u8", "bool"];

/** How ternary weights lie in memory; `docs/formats` has each. */
export const ternaryPackings = [
  "tile2",
  "tile3",
  "hf_ternary",
  "tq1_0",
  "tq2_0",
  "i2_s_128",
  "i2_s_64",
] as const;
export type TernaryPacking = (typeof ternaryPackings)[number];

/** Elements of less than a byte, which operations unpack: i4 to i8, ternary weights to f32. */
export type PackedDType = "i4" | "ternary";

/** What kernels compute in; others are cast on the way in and out. */
export type ComputeDType = "f32" | "f64" | "i32";

export type TypedArray =
  | Float32Array
  | Float64Array
  | Float16Array
  | Uint16Array
  | Int32Array
  | Int8Array
  | Uint8Array;

interface TypedArrayConstructor {
  new (length: number): TypedArray;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArray;
  readonly BYTES_PER_ELEMENT: number;
}

const arrays: Record<DType, TypedArrayConstructor> = {
  f32: Float32Array,
  f16: Float16Array,
  // The upper half of an f32; `toArray` widens it.
  bf16: Uint16Array,
  f64: Float64Array,
  i32: Int32Array,
  i8: Int8Array,
  u8: Uint8Array,
  bool: Uint8Array,
};

/**
 * The typed array that shows elements of a dtype; bf16 as raw 16-bit words.
 * @throws BitNetError `tensor/bad-dtype` for what is none
 */
export function arrayOf(dtype: DType): TypedArrayConstructor {
  const array: TypedArrayConstructor | undefined = arrays[dtype];
  if (array) return array;
  throw new BitNetError(
    "tensor/bad-dtype",
    `a tensor of ${JSON.stringify(dtype)}: want one of ${dtypes.join(", ")}`,
  );
}

/** The dtype of a typed array's elements; undefined for one that no tensor has. */
export function dtypeOfArray(array: ArrayBufferView): DType | undefined {
  if (array instanceof Float32Array) return "f32";
  if (array instanceof Float64Array) return "f64";
  if (array instanceof Float16Array) return "f16";
  if (array instanceof Int32Array) return "i32";
  if (array instanceof Int8Array) return "i8";
  if (array instanceof Uint8Array || array instanceof Uint8ClampedArray) return "u8";
  return undefined;
}

/** The dtype of an operation on both. */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a;
  if (isFloat(a) || isFloat(b)) {
    if (!isFloat(a)) return b;
    if (!isFloat(b)) return a;
    return a === "f64" || b === "f64" ? "f64" : "f32";
  }
  if (a === "bool") return b;
  return b === "bool" ? a : "i32";
}

/**
 * Writing in place narrows floats and integers, but makes no integers of floats, and no bools.
 * @throws BitNetError `tensor/bad-dtype`
 */
export function requireFits(from: DType, to: DType): void {
  if (from === to || isFloat(to) || (!isFloat(from) && to !== "bool")) return;
  throw new BitNetError(
    "tensor/bad-dtype",
    `a result of ${from} does not fit in place into ${to}: convert one with to()`,
  );
}

/** The dtype that a plain number has beside a tensor of `dtype`. */
export function promoteNumber(dtype: DType, number: number): DType {
  if (isFloat(dtype)) return dtype;
  if (!Number.isInteger(number)) return "f32";
  return dtype === "bool" ? "i32" : dtype;
}

/** What kernels compute an operation of this dtype in. */
export function computeDType(dtype: DType): ComputeDType {
  if (dtype === "f64") return "f64";
  return isFloat(dtype) ? "f32" : "i32";
}
