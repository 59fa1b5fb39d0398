/** New tensors: of lists and typed arrays, constants, ranges. */
import { BitNetError } from "../errors/index.ts";
import { type Storage, Value } from "../graph/index.ts";
import { Region, regionAlignment } from "../native/index.ts";
import { type DType, dtypeOfArray, type TypedArray } from "./dtypes.ts";
import { cast } from "./elementwise.ts";
import { filled, type NestedArray } from "./read.ts";
import { requireShape, type Shape, sizeOf } from "./shapes.ts";
import { Tensor } from "./tensor.ts";

export interface CreateOptions {
  dtype?: DType;
}

export interface TensorOptions extends CreateOptions {
  /** Of a typed array: one dimension by default. */
  shape?: Shape;
  /**
   * False reads a typed array over native memory, as `data()` gives it, where it lies: nothing is
   * copied until the tensor is written to.
   */
  copy?: boolean;
}

/**
 * A tensor of a number, nested lists (f32, or bool where all are booleans), or a typed array with
 * its own dtype, in one dimension unless `shape` is given.
 * @throws BitNetError `tensor/shape-mismatch` for lists of unequal lengths, `tensor/needs-copy`
 */
export function tensor(content: NestedArray | TypedArray, options: TensorOptions = {}): Tensor {
  if (ArrayBuffer.isView(content)) return ofArray(content, options);
  const shape = options.shape ?? shapeOfLists(content);
  const leaves: (number | boolean)[] = [];
  collect(content, leaves);
  requireCount(shape, leaves.length);
  const isBool = leaves.length > 0 && leaves.every((leaf) => typeof leaf === "boolean");
  const own = isBool
    ? "bool"
    : options.dtype === "f64" || options.dtype === "i32"
      ? options.dtype
      : "f32";
  const value = filled(requireShape(shape), own, (elements) => {
    leaves.forEach((leaf, index) => {
      elements[index] = Number(leaf);
    });
  });
  return new Tensor(cast(value, options.dtype ?? own));
}

/** All elements the same number. */
export function full(shape: Shape, value: number, { dtype = "f32" }: CreateOptions = {}): Tensor {
  const own = dtype === "bf16" ? "f32" : dtype;
  return new Tensor(
    cast(
      filled(requireShape(shape), own, (elements) => elements.fill(value)),
      dtype,
    ),
  );
}

export function zeros(shape: Shape, options?: CreateOptions): Tensor {
  return full(shape, 0, options);
}

export function ones(shape: Shape, options?: CreateOptions): Tensor {
  return full(shape, 1, options);
}

function ofArray(
  content: TypedArray,
  { shape = [content.length], dtype, copy = true }: TensorOptions,
): Tensor {
  const own = dtypeOfArray(content);
  if (!own) {
    throw new BitNetError(
      "tensor/bad-dtype",
      `${content.constructor.name} holds no dtype of tensors: want Float32Array, Float64Array, ` +
        "Float16Array, Int32Array, Int8Array or Uint8Array",
    );
  }
  requireCount(requireShape(shape), content.length);
  if (!copy) return new Tensor(cast(readInPlace(content, shape, own), dtype ?? own));
  const value = filled(shape, own, (elements) => elements.set(content));
  return new Tensor(cast(value, dtype ?? own));
}

/** A value over the memory of an array; a tensor that is written to moves away from it. */
function readInPlace(content: TypedArray, shape: Shape, dtype: DType): Value {
  const place = Region.under(content);
  if (!place) {
    throw new BitNetError(
      "tensor/needs-copy",
      `${content.constructor.name} lies in JavaScript's memory: without a copy a tensor reads what ` +
        "data() of another one gives, no more",
    );
  }
  const { region, offset } = place;
  const base = offset - (offset % regionAlignment);
  const size = offset - base + content.byteLength;
  const storage: Storage = { kind: "state", name: "array", size, region, base, borrowed: true };
  return new Value({ storage, dtype, dims: shape, offset: offset - base });
}

function collect(content: NestedArray, into: (number | boolean)[]): void {
  if (Array.isArray(content)) for (const part of content) collect(part, into);
  else into.push(content);
}

function shapeOfLists(content: NestedArray): number[] {
  if (!Array.isArray(content)) return [];
  if (content.length === 0) return [0];
  const [first, ...others] = content.map(shapeOfLists);
  if (others.some((other) => other.join() !== first!.join())) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `lists of unequal lengths: want all of shape (${first!.join(", ")}) at this depth`,
    );
  }
  return [content.length, ...first!];
}

function requireCount(shape: Shape, count: number): void {
  if (sizeOf(shape) === count) return;
  throw new BitNetError(
    "tensor/shape-mismatch",
    `${count} elements do not fill a tensor of shape (${shape.join(", ")})`,
  );
}
