/**
 * What people hold of a recorded value: shape, dtype, operators, views. Operators record; the
 * elements are computed when somebody reads them, together with all else that is pending.
 */
import { BitNetError } from "../errors/index.ts";
import { type Storage, Value } from "../graph/index.ts";
import { gelu, logSoftmax, relu, relu2, silu, softmax } from "./activations.ts";
import { computeDType, type DType, requireFits, type TypedArray } from "./dtypes.ts";
import {
  binary,
  cast,
  compare,
  divide,
  type Operand,
  power,
  select,
  unary,
} from "./elementwise.ts";
import { indexed, type ValueIndex } from "./indexing.ts";
import { matmul } from "./matmul.ts";
import { contiguous, expand, permute, reshape, squeeze, unsqueeze } from "./movement.ts";
import { pending } from "./pending.ts";
import { formatElements, formatTensor } from "./print.ts";
import { elementsOf, isComputed, type NestedArray, nested, onlyElement } from "./read.ts";
import {
  cumulativeSum,
  indexOfExtreme,
  logSumExp,
  mean,
  type ReduceOptions,
  reduced,
  type VarianceOptions,
  variance,
} from "./reductions.ts";
import { broadcastShapes, formatShape, type Shape, sameShape, shapeOf, sizeOf } from "./shapes.ts";

/** Another tensor, or a number, which takes this tensor's dtype. */
export type TensorOperand = Tensor | number;

/**
 * One place of an index: an element, a range "start:stop:step", "..." for the axes between, null
 * for a new axis, a list or tensor of whole numbers, or a tensor of bools.
 */
export type Index = Exclude<ValueIndex, Value> | Tensor;

/** The memory that a tensor and its views share; writing may move it. */
interface Base {
  storage: Storage;
  released: boolean;
}

export class Tensor implements Disposable {
  readonly #base: Base;
  #value: Value;
  readonly #isView: boolean;
  #disposed = false;

  /** Of a recorded value; people use `tensor`, `zeros`, ... A view shares its tensor's base. */
  constructor(value: Value, base?: Base) {
    value.storage.held = true;
    this.#value = value;
    this.#isView = base !== undefined;
    this.#base = base ?? { storage: value.storage, released: false };
  }

  /**
   * The graph's value.
   * @throws BitNetError `tensor/disposed`
   */
  get value(): Value {
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

  get dtype(): DType {
    return this.#value.dtype as DType;
  }

  /** Number of dimensions. */
  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  add(other: TensorOperand): Tensor {
    return new Tensor(binary("add", this.value, operand(other)));
  }

  sub(other: TensorOperand): Tensor {
    return new Tensor(binary("sub", this.value, operand(other)));
  }

  mul(other: TensorOperand): Tensor {
    return new Tensor(binary("mul", this.value, operand(other)));
  }

  /** True division: integers divide as f32. */
  div(other: TensorOperand): Tensor {
    return new Tensor(divide(this.value, operand(other)));
  }

  /** The remainder with the divisor's sign, as Python has it. */
  mod(other: TensorOperand): Tensor {
    return new Tensor(binary("modulo", this.value, operand(other)));
  }

  pow(exponent: TensorOperand): Tensor {
    return new Tensor(power(this.value, operand(exponent)));
  }

  /** The smaller of both, element by element; what is not a number is passed on. */
  minimum(other: TensorOperand): Tensor {
    return new Tensor(binary("minimum", this.value, operand(other)));
  }

  /** The larger of both, element by element; what is not a number is passed on. */
  maximum(other: TensorOperand): Tensor {
    return new Tensor(binary("maximum", this.value, operand(other)));
  }

  /** Within bounds, either of which may be left out. */
  clip({ min, max }: { min?: TensorOperand; max?: TensorOperand }): Tensor {
    const above = min === undefined ? this : this.maximum(min);
    return max === undefined ? above : above.minimum(max);
  }

  eq(other: TensorOperand): Tensor {
    return new Tensor(compare("equal", this.value, operand(other)));
  }

  ne(other: TensorOperand): Tensor {
    return new Tensor(compare("not_equal", this.value, operand(other)));
  }

  lt(other: TensorOperand): Tensor {
    return new Tensor(compare("less", this.value, operand(other)));
  }

  le(other: TensorOperand): Tensor {
    return new Tensor(compare("less_equal", this.value, operand(other)));
  }

  gt(other: TensorOperand): Tensor {
    return new Tensor(compare("less", operand(other), this.value));
  }

  ge(other: TensorOperand): Tensor {
    return new Tensor(compare("less_equal", operand(other), this.value));
  }

  /** This where the condition holds, else the other. */
  where(condition: Tensor, other: TensorOperand): Tensor {
    return new Tensor(select(condition.value, this.value, operand(other)));
  }

  /** The product of matrices, the last two axes; the others broadcast. */
  matmul(other: Tensor): Tensor {
    return new Tensor(matmul(this.value, other.value));
  }

  neg(): Tensor {
    return new Tensor(unary("neg", this.value));
  }

  abs(): Tensor {
    return new Tensor(unary("abs", this.value));
  }

  floor(): Tensor {
    return new Tensor(unary("floor", this.value));
  }

  ceil(): Tensor {
    return new Tensor(unary("ceil", this.value));
  }

  /** To the nearest whole number, halves to the even one. */
  round(): Tensor {
    return new Tensor(unary("round", this.value));
  }

  sqrt(): Tensor {
    return new Tensor(unary("sqrt", this.value));
  }

  exp(): Tensor {
    return new Tensor(unary("exp", this.value));
  }

  log(): Tensor {
    return new Tensor(unary("log", this.value));
  }

  sin(): Tensor {
    return new Tensor(unary("sin", this.value));
  }

  cos(): Tensor {
    return new Tensor(unary("cos", this.value));
  }

  tan(): Tensor {
    return new Tensor(unary("tan", this.value));
  }

  asin(): Tensor {
    return new Tensor(unary("asin", this.value));
  }

  acos(): Tensor {
    return new Tensor(unary("acos", this.value));
  }

  atan(): Tensor {
    return new Tensor(unary("atan", this.value));
  }

  tanh(): Tensor {
    return new Tensor(unary("tanh", this.value));
  }

  erf(): Tensor {
    return new Tensor(unary("erf", this.value));
  }

  sigmoid(): Tensor {
    return new Tensor(unary("sigmoid", this.value));
  }

  relu(): Tensor {
    return new Tensor(relu(this.value));
  }

  relu2(): Tensor {
    return new Tensor(relu2(this.value));
  }

  silu(): Tensor {
    return new Tensor(silu(this.value));
  }

  gelu(approximate: "none" | "tanh" = "none"): Tensor {
    return new Tensor(gelu(this.value, approximate));
  }

  softmax(axis = -1): Tensor {
    return new Tensor(softmax(this.value, axis));
  }

  logSoftmax(axis = -1): Tensor {
    return new Tensor(logSoftmax(this.value, axis));
  }

  /** Over all axes, or those named; integers count in i32. */
  sum(options?: ReduceOptions): Tensor {
    return new Tensor(reduced("reduce_sum", this.value, options));
  }

  prod(options?: ReduceOptions): Tensor {
    return new Tensor(reduced("reduce_product", this.value, options));
  }

  max(options?: ReduceOptions): Tensor {
    return new Tensor(reduced("reduce_max", this.value, options));
  }

  min(options?: ReduceOptions): Tensor {
    return new Tensor(reduced("reduce_min", this.value, options));
  }

  mean(options?: ReduceOptions): Tensor {
    return new Tensor(mean(this.value, options));
  }

  /** The mean square distance from the mean; `correction: 1` for that of a sample. */
  var(options?: VarianceOptions): Tensor {
    return new Tensor(variance(this.value, options));
  }

  std(options?: VarianceOptions): Tensor {
    return new Tensor(unary("sqrt", variance(this.value, options)));
  }

  logSumExp(options?: ReduceOptions): Tensor {
    return new Tensor(logSumExp(this.value, options));
  }

  /** Whether any element is not 0. */
  any(options?: ReduceOptions): Tensor {
    return new Tensor(cast(reduced("reduce_max", cast(this.ne(0).value, "i32"), options), "bool"));
  }

  /** Whether no element is 0. */
  all(options?: ReduceOptions): Tensor {
    return new Tensor(cast(reduced("reduce_min", cast(this.ne(0).value, "i32"), options), "bool"));
  }

  /** Where the largest element is: the first of equals. */
  argmax(axis?: number): Tensor {
    return new Tensor(indexOfExtreme("arg_max", this.value, axis));
  }

  argmin(axis?: number): Tensor {
    return new Tensor(indexOfExtreme("arg_min", this.value, axis));
  }

  /** Running sums along an axis. */
  cumsum(axis: number): Tensor {
    return new Tensor(cumulativeSum(this.value, axis));
  }

  /**
   * The same elements in another dtype: floats round half to even, also to integers, which stop at
   * their limits; what is not a number becomes 0, and any number but 0 is true.
   */
  to(dtype: DType): Tensor {
    return new Tensor(cast(this.value, dtype));
  }

  /** The same elements by other extents, one of which may be -1; a view where that can be. */
  reshape(...shape: number[]): Tensor {
    return this.#view(reshape(this.value, shape));
  }

  /** Axes in another order, reversed by default; a view. */
  permute(...axes: number[]): Tensor {
    return this.#view(permute(this.value, axes.length > 0 ? axes : reversed(this.rank)));
  }

  /** Two axes in each other's place, the last two by default; a view. */
  transpose(first = -2, second = -1): Tensor {
    const axes = Array.from({ length: this.rank }, (_, axis) => axis);
    const [a, b] = [axes.at(first), axes.at(second)];
    if (a === undefined || b === undefined) return this.permute(first, second);
    [axes[a], axes[b]] = [b, a];
    return this.permute(...axes);
  }

  /** Without axes of one element; a view. */
  squeeze(axes?: number | readonly number[]): Tensor {
    return this.#view(squeeze(this.value, axes));
  }

  /** With a new axis of one element at this place; a view. */
  unsqueeze(axis: number): Tensor {
    return this.#view(unsqueeze(this.value, axis));
  }

  /** Repeated to a larger shape; a view. */
  expand(...shape: number[]): Tensor {
    return this.#view(expand(this.value, shape));
  }

  /**
   * A part, as NumPy's `x[...]`: `x.at(0)`, `x.at("1:3", "::-1")`, `x.at("...", null, -1)`; a view.
   * Lists, tensors of whole numbers and masks copy: `x.at([2, 0])`, `x.at(x.gt(0))`. A mask is
   * computed at once, since the result's shape depends on it.
   * @throws BitNetError `tensor/index-out-of-range`, `tensor/bad-index`, `tensor/bad-dtype`
   */
  at(...indices: Index[]): Tensor {
    const places = indices.map((one) => (one instanceof Tensor ? one.value : one));
    return this.#view(indexed(this.value, places));
  }

  /** The elements (or slices) for which a tensor of bools is true, as `at`. */
  mask(condition: Tensor): Tensor {
    return this.at(condition);
  }

  /** A copy in memory of its own. */
  clone(): Tensor {
    return new Tensor(pending.apply("copy", [this.value])[0]!);
  }

  /** Writes into this tensor and all views of its memory; the other operand is broadcast. */
  assign(other: TensorOperand): this {
    const to = this.#writable();
    const value = operand(other);
    const from =
      typeof value === "number" ? pending.number(value, computeDType(this.dtype)) : value;
    const shape = shapeOf(from);
    if (!sameShape(broadcastShapes(shape, this.shape), this.shape)) {
      throw new BitNetError(
        "tensor/shape-mismatch",
        `${formatShape(shape)} cannot be written to a tensor ${formatShape(this.shape)}`,
      );
    }
    // A copy first, where both may share memory: no element is read after it was overwritten.
    const source = from.storage === to.storage ? contiguous(cloneOf(from)) : from;
    const cut = sameShape(shapeOf(source), this.shape) ? source : source.broadcast(this.shape);
    pending.apply("copy", [cut], { into: [to] });
    return this;
  }

  /** Adds in place; this keeps its dtype. @throws BitNetError `tensor/bad-dtype` for a wider one */
  add_(other: TensorOperand): this {
    return this.#update(this.add(other));
  }

  sub_(other: TensorOperand): this {
    return this.#update(this.sub(other));
  }

  mul_(other: TensorOperand): this {
    return this.#update(this.mul(other));
  }

  div_(other: TensorOperand): this {
    return this.#update(this.div(other));
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
  }

  toString(): string {
    return formatTensor(this.value, formatElements(this.value));
  }

  /** Logging a tensor shows the elements only if they are computed. */
  [Bun.inspect.custom](): string {
    if (this.#disposed) return "tensor(disposed)";
    const { value } = this;
    return formatTensor(value, isComputed(value) ? formatElements(value) : "not computed yet");
  }

  #update(result: Tensor): this {
    requireFits(result.dtype, this.dtype);
    return this.assign(result);
  }

  #view(value: Value): Tensor {
    return value.storage === this.#base.storage ? new Tensor(value, this.#base) : new Tensor(value);
  }

  /** A value to write to: nothing that was asked for before may see what is written. */
  #writable(): Value {
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

function operand(other: TensorOperand): Operand {
  return typeof other === "number" ? other : other.value;
}

function cloneOf(value: Value): Value {
  return pending.apply("copy", [value])[0]!;
}

function reversed(rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
}
