/**
 * Arithmetic on values while a gradient is recorded, and the views that rules need: operands
 * broadcast to the first one, all of them in f32 or f64.
 */
import type { OpName } from "../../native/index.ts";
import type { ApplyOptions, Recorder } from "../record.ts";
import { Value } from "../value.ts";

/** What a gradient is computed in: f32 but for f64. */
export function gradientDType(dtype: Value["dtype"]): "f32" | "f64" {
  return dtype === "f64" ? "f64" : "f32";
}

/** Records arithmetic. */
export class ValueMaths {
  constructor(readonly recorder: Recorder) {}

  /** The first output of any instruction. */
  one(op: OpName, inputs: readonly Value[], options: ApplyOptions = {}): Value {
    return this.recorder.apply(op, inputs, options)[0]!;
  }

  unary(op: OpName, x: Value): Value {
    return this.recorder.apply(op, [x])[0]!;
  }

  binary(op: OpName, a: Value, b: Value | number): Value {
    const right = typeof b === "number" ? this.number(b, a) : b;
    return this.recorder.apply(op, [a, sameRank(right, a)])[0]!;
  }

  add(a: Value, b: Value | number): Value {
    return this.binary("add", a, b);
  }

  sub(a: Value, b: Value | number): Value {
    return this.binary("sub", a, b);
  }

  mul(a: Value, b: Value | number): Value {
    return this.binary("mul", a, b);
  }

  div(a: Value, b: Value | number): Value {
    return this.binary("div", a, b);
  }

  neg(x: Value): Value {
    return this.unary("neg", x);
  }

  /** A number in the other value's dtype and shape. */
  number(value: number, like: Value): Value {
    const dtype = like.dtype === "f64" || like.dtype === "i32" ? like.dtype : "f32";
    return this.recorder.number(value, dtype).broadcast(like.dims);
  }

  /** Zeros of another value's extents, in the dtype of its gradient. */
  zeros({ dims, dtype }: Value): Value {
    return this.recorder.number(0, gradientDType(dtype)).broadcast(dims);
  }

  where(condition: Value, a: Value, b: Value): Value {
    return this.recorder.apply("select", [condition, a, b])[0]!;
  }

  /** The sum over the last `count` axes. */
  sumLast(x: Value, count: number): Value {
    if (count === 0) return x;
    return this.recorder.apply("reduce_sum", [x], { attrs: { axes: count } })[0]!;
  }

  /** The sum over the last axis, which is read again along it: the shape stays. */
  sumAlong(x: Value): Value {
    return alongLast(this.sumLast(x, 1), x.dims);
  }

  /** The sum over the first axes, all but `kept` of them. */
  sumFirst(x: Value, kept: number): Value {
    const gone = x.dims.length - kept;
    const axes = x.dims.map((_, axis) => axis);
    return this.sumLast(x.permute([...axes.slice(gone), ...axes.slice(0, gone)]), gone);
  }

  /** Summed to smaller extents: where those are 1, or missing in front. */
  sumTo(x: Value, dims: Value["dims"]): Value {
    const missing = x.dims.length - dims.length;
    const gone = x.dims
      .map((_, axis) => axis)
      .filter((axis) => axis < missing || (dims[axis - missing] === 1 && x.dims[axis] !== 1));
    if (gone.length === 0) return x;
    const kept = x.dims.map((_, axis) => axis).filter((axis) => !gone.includes(axis));
    const sum = this.sumLast(x.permute([...kept, ...gone]), gone.length);
    return reshaped(sum, dims);
  }

  matmul(a: Value, b: Value): Value {
    return this.recorder.apply("matmul", [a, b])[0]!;
  }

  /** In another dtype. */
  cast(x: Value, dtype: Value["dtype"]): Value {
    return x.dtype === dtype ? x : this.recorder.apply("copy", [x], { dtype })[0]!;
  }
}

/** A value without gaps by other extents. */
export function reshaped(x: Value, dims: Value["dims"]): Value {
  const { storage, dtype, offset } = x;
  return new Value({ storage, dtype, dims, offset });
}

function sameRank(x: Value, like: Value): Value {
  return x.dims.length === like.dims.length && x.dims.every((dim, i) => dim === like.dims[i])
    ? x
    : x.broadcast(like.dims);
}

/** The last two axes exchanged. */
export function turned(x: Value): Value {
  const axes = x.dims.map((_, axis) => axis);
  const [a, b] = axes.splice(-2);
  return x.permute([...axes, b!, a!]);
}

/** The value read again along new last axes. */
export function alongLast(x: Value, dims: Value["dims"]): Value {
  const added = dims.length - x.dims.length;
  return x.view({ dims, strides: [...x.strides, ...new Array<number>(added).fill(0)] });
}
