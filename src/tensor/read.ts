/**
 * Elements out of native memory and into it: typed arrays over a tensor's bytes, nested arrays,
 * single numbers.
 */
import { BitNetError } from "../errors/index.ts";
import { type Storage, Value } from "../graph/index.ts";
import { Region } from "../native/index.ts";
import { arrayOf, type DType, type TypedArray } from "./dtypes.ts";
import { contiguous } from "./movement.ts";
import { pending } from "./pending.ts";
import { formatShape, type Shape, shapeOf, sizeOf } from "./shapes.ts";

/** Nested lists of a tensor's elements; the element itself for one without dimensions. */
export type NestedArray<T = number | boolean> = T | NestedArray<T>[];

/** The elements row by row, in native memory; computed first where they are not. */
export function elementsOf(value: Value): TypedArray {
  const row = contiguous(value);
  const { storage } = row;
  pending.require(storage);
  const count = sizeOf(shapeOf(row));
  const dtype = row.dtype as DType;
  const array = arrayOf(dtype);
  if (count === 0) return new array(0);
  const at = storage.base! + row.offset;
  const bytes = storage.region!.bytes(at, count * array.BYTES_PER_ELEMENT);
  return new array(bytes.buffer, 0, count);
}

/** Whether reading would compute nothing, and give elements. */
export function isComputed({ storage }: Value): boolean {
  return pending.isComputed(storage) && storage.failure === undefined;
}

/** A new value in memory of its own; `fill` writes every element. */
export function filled(shape: Shape, dtype: DType, fill: (elements: TypedArray) => void): Value {
  const array = arrayOf(dtype);
  const size = Math.max(1, sizeOf(shape)) * array.BYTES_PER_ELEMENT;
  const region = Region.create(size, { tag: "tensor", uninitialised: true });
  const storage: Storage = { kind: "state", name: "tensor", size, region, base: 0 };
  // What a compiled function makes of numbers is made once.
  if (pending.isCapturing) storage.isKnown = true;
  const value = new Value({ storage, dtype, dims: shape });
  if (sizeOf(shape) > 0) fill(elementsOf(value));
  return value;
}

/** Elements as numbers or booleans, nested by axis. */
export function nested(value: Value): NestedArray {
  const elements = elementsOf(value);
  const dtype = value.dtype as DType;
  const read = readerOf(dtype, elements);
  const shape = shapeOf(value);
  let at = 0;
  const level = (axis: number): NestedArray => {
    if (axis === shape.length) return read(at++);
    return Array.from({ length: shape[axis]! }, () => level(axis + 1));
  };
  return level(0);
}

/** What element `index` is to people. */
export function readerOf(dtype: DType, elements: TypedArray): (index: number) => number | boolean {
  if (dtype === "bool") return (index) => elements[index] !== 0;
  if (dtype === "bf16") return (index) => widen(elements[index]!);
  return (index) => elements[index]!;
}

const word = new DataView(new ArrayBuffer(4));

/** A bf16 is the upper half of an f32. */
function widen(bits: number): number {
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}

/** @throws BitNetError `tensor/not-a-scalar` unless there is one element. */
export function onlyElement(value: Value): number | boolean {
  const shape = shapeOf(value);
  if (sizeOf(shape) !== 1) {
    throw new BitNetError(
      "tensor/not-a-scalar",
      `a tensor ${formatShape(shape)} has ${sizeOf(shape)} elements: item() wants one; ` +
        "index it first, or use toArray()",
    );
  }
  const { dtype, layout, storage } = value;
  if (layout !== "strided" || (dtype !== "f32" && dtype !== "f64" && dtype !== "i32")) {
    return readerOf(dtype as DType, elementsOf(value))(0);
  }
  pending.require(storage);
  return storage.region!.number(dtype, storage.base! + value.offset);
}
