/** The methods that write into a tensor's memory, and so into all views of it. */
import { BitNetError } from "../errors/index.ts";
import type { Value } from "../graph/index.ts";
import { computeDType, requireFits } from "./dtypes.ts";
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
  add_(other: this | number): this {
    return this.#update(this.add(other));
  }

  sub_(other: this | number): this {
    return this.#update(this.sub(other));
  }

  mul_(other: this | number): this {
    return this.#update(this.mul(other));
  }

  div_(other: this | number): this {
    return this.#update(this.div(other));
  }

  #update(result: this): this {
    requireFits(result.dtype, this.dtype);
    return this.assign(result);
  }
}

function cloneOf(value: Value): Value {
  return pending.apply("copy", [value])[0]!;
}
