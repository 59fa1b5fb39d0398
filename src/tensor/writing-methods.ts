/** The methods that write into a tensor's memory, and so into all views of it. */
import { BitNetError } from "../errors/index.ts";
import type { Value } from "../graph/index.ts";
import type { Bounds } from "./arithmetic-methods.ts";
import { computeDType, type DType, requireFits } from "./dtypes.ts";
import { operand } from "./handle.ts";
import { contiguous } from "./movement.ts";
import { pending } from "./pending.ts";
import { ShapeMethods } from "./shape-methods.ts";
import { broadcastShapes, formatShape, sameShape, shapeOf } from "./shapes.ts";

export abstract class WritingMethods extends ShapeMethods {
  /** Writes into this tensor and all views of its memory; the other operand is broadcast. */
  assign(other: this | number): this {
    const to = this.writable();
    const value = operand(other);
    const from =
      typeof value === "number" ? pending.number(value, computeDType(to.dtype as DType)) : value;
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
  add_(other: this | number): this {
    return this.#update(() => this.add(other));
  }

  sub_(other: this | number): this {
    return this.#update(() => this.sub(other));
  }

  mul_(other: this | number): this {
    return this.#update(() => this.mul(other));
  }

  div_(other: this | number): this {
    return this.#update(() => this.div(other));
  }

  mod_(other: this | number): this {
    return this.#update(() => this.mod(other));
  }

  pow_(exponent: this | number): this {
    return this.#update(() => this.pow(exponent));
  }

  minimum_(other: this | number): this {
    return this.#update(() => this.minimum(other));
  }

  maximum_(other: this | number): this {
    return this.#update(() => this.maximum(other));
  }

  clip_(bounds: Bounds<this | number>): this {
    return this.#update(() => this.clip(bounds));
  }

  neg_(): this {
    return this.#update(() => this.neg());
  }

  abs_(): this {
    return this.#update(() => this.abs());
  }

  floor_(): this {
    return this.#update(() => this.floor());
  }

  ceil_(): this {
    return this.#update(() => this.ceil());
  }

  round_(): this {
    return this.#update(() => this.round());
  }

  sqrt_(): this {
    return this.#update(() => this.sqrt());
  }

  exp_(): this {
    return this.#update(() => this.exp());
  }

  log_(): this {
    return this.#update(() => this.log());
  }

  sin_(): this {
    return this.#update(() => this.sin());
  }

  cos_(): this {
    return this.#update(() => this.cos());
  }

  tan_(): this {
    return this.#update(() => this.tan());
  }

  asin_(): this {
    return this.#update(() => this.asin());
  }

  acos_(): this {
    return this.#update(() => this.acos());
  }

  atan_(): this {
    return this.#update(() => this.atan());
  }

  tanh_(): this {
    return this.#update(() => this.tanh());
  }

  erf_(): this {
    return this.#update(() => this.erf());
  }

  sigmoid_(): this {
    return this.#update(() => this.sigmoid());
  }

  relu_(): this {
    return this.#update(() => this.relu());
  }

  #update(make: () => this): this {
    this.requireWritable();
    const result = make();
    requireFits(result.value.dtype as DType, this.value.dtype as DType);
    return this.assign(result);
  }
}

function cloneOf(value: Value): Value {
  return pending.apply("copy", [value])[0]!;
}
