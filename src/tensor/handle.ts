/**
 * What every tensor is before it can compute anything: a handle on a recorded value and on the
 * memory that it shares with its views. It reads elements, prints them and gives memory back; the
 * methods that record are added by family, each in its own file, up to `Tensor`.
 */
import { BitNetError } from "../errors/index.ts";
import { elementSizes, type Storage, Value } from "../graph/index.ts";
import type { DType, PackedDType, TernaryPacking, TypedArray } from "./dtypes.ts";
import type { Operand } from "./elementwise.ts";
import { isPacked, packedKind, unpacked } from "./packed.ts";
import { pending } from "./pending.ts";
import { formatElements, formatTensor } from "./print.ts";
import { elementsOf, isComputed, type NestedArray, nested, onlyElement } from "./read.ts";
import { type Shape, shapeOf, sizeOf } from "./shapes.ts";

/** The memory that a tensor and its views share; writing may move it. */
export interface Base {
  storage: Storage;
  released: boolean;
}

export abstract class TensorHandle implements Disposable {
  readonly #base: Base;
  #value: Value;
  readonly #isView: boolean;
  #disposed = false;

  /** Of a recorded value; people use `tensor`, `zeros`, ... A view shares its tensor's base. */
  constructor(value: Value, base?: Base) {
    value.storage.held = true;
    if (value.rowScale) value.rowScale.storage.held = true;
    this.#value = value;
    this.#isView = base !== undefined;
    this.#base = base ?? { storage: value.storage, released: false };
  }

  /** A tensor of a value; a view of the memory behind `base`, if there is one. */
  protected abstract made(value: Value, base?: Base): this;

  /**
   * The graph's value; of packed elements their unpacking.
   * @throws BitNetError `tensor/disposed`
   */
  get value(): Value {
    const { stored } = this;
    return isPacked(stored) ? unpacked(stored) : stored;
  }

  /** The graph's value as it lies in memory. @throws BitNetError `tensor/disposed` */
  get stored(): Value {
    if (this.#disposed || this.#base.released) {
      throw new BitNetError("tensor/disposed", "the tensor was used after its release");
    }
    const { storage } = this.#base;
    if (this.#value.storage !== storage) {
      const { dtype, dims, strides, offset } = this.#value;
      this.#value = new Value({ storage, dtype, dims, strides, offset });
    }
    return this.#value;
  }

  get shape(): Shape {
    return shapeOf(this.#value);
  }

  get dtype(): DType | PackedDType {
    return isPacked(this.#value) ? packedKind(this.#value) : (this.#value.dtype as DType);
  }

  /** What operations take the elements as: i8 for i4, f32 for ternary weights, else the dtype. */
  get elementDType(): DType {
    const { dtype } = this;
    if (dtype === "i4") return "i8";
    return dtype === "ternary" ? "f32" : dtype;
  }

  /** How ternary weights are packed; undefined for all else. */
  get packing(): TernaryPacking | undefined {
    return this.dtype === "ternary" ? (this.#value.layout as TernaryPacking) : undefined;
  }

  /** Number of dimensions. */
  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** Bytes of the elements, as they are packed where they are; not of their scale. */
  get byteSize(): number {
    const { storage, dtype } = this.#value;
    return isPacked(this.#value) ? storage.size : this.size * elementSizes[dtype];
  }

  /**
   * Computes the elements, and what else is pending, while the event loop goes on; then reading
   * them takes no time. Whoever reads what is under way, or computes something else meanwhile,
   * waits for it.
   *
   * @example
   * ```ts
   * const { u, s } = linalg.svd(large);
   * await s.ready();
   * ```
   * @throws BitNetError as reading does
   */
  async ready(): Promise<this> {
    await pending.ready(this.stored.storage);
    return this;
  }

  /** The elements row by row, in native memory: they change when the tensor is written to. */
  data(): TypedArray {
    return elementsOf(this.value);
  }

  /** The elements as nested lists. */
  toArray(): NestedArray {
    return nested(this.value);
  }

  /** The only element. @throws BitNetError `tensor/not-a-scalar` */
  item(): number | boolean {
    return onlyElement(this.value);
  }

  /**
   * Gives the memory back before the collector does, unless something is still to be computed of
   * it; views of it end with it. Harmless when done twice.
   */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#isView) return;
    this.#base.released = true;
    pending.release(this.#base.storage);
    if (this.#value.rowScale) pending.release(this.#value.rowScale.storage);
  }

  toString(): string {
    return this.#text(formatElements(this.value));
  }

  /** Logging a tensor shows the elements only if they are computed. */
  [Bun.inspect.custom](): string {
    if (this.#disposed) return "tensor(disposed)";
    return this.#text(isComputed(this.stored) ? formatElements(this.value) : "not computed yet");
  }

  #text(elements: string): string {
    const dtype = this.packing ? `ternary ${this.packing}` : this.dtype;
    return formatTensor({ shape: this.shape, dtype }, elements);
  }

  /** A tensor of a value that was made of this one's: a view where it has the same memory. */
  protected alias(value: Value): this {
    return value.storage === this.#base.storage ? this.made(value, this.#base) : this.made(value);
  }

  /** @throws BitNetError `tensor/bad-dtype` for packed elements */
  protected requireWritable(): void {
    if (!isPacked(this.#value)) return;
    throw new BitNetError(
      "tensor/bad-dtype",
      `a tensor of ${this.dtype} is only read: unpack it with to("f32") or to("i8") and write there`,
    );
  }

  /** A value to write to: nothing that was asked for before may see what is written. */
  protected writable(): Value {
    this.requireWritable();
    pending.require(this.value.storage);
    pending.flush({ keepAll: true });
    const { storage } = this.#base;
    if (storage.borrowed) {
      const whole = new Value({ storage, dtype: "u8", dims: [storage.size] });
      const [moved] = pending.apply("copy", [whole]);
      pending.require(moved!.storage);
      this.#base.storage = moved!.storage;
    }
    return this.value;
  }
}

/** What an operation reads: a tensor's value, or the number. */
export function operand(other: TensorHandle | number): Operand {
  return typeof other === "number" ? other : other.value;
}
