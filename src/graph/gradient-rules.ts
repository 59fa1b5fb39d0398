/**
 * Gradient rules, one an op: from the gradients of an instruction's outputs to those of its inputs,
 * recorded as further instructions. An op that is not listed has none: asking for one is refused.
 * Integers, conditions and indices have no gradient. Where two operands of `minimum` or `maximum`
 * are equal the second one gets it; the largest of several equals share it.
 */
import type { OpName } from "../native/index.ts";
import type { Recorder } from "./record.ts";
import { type Node, Value } from "./value.ts";

/** What a rule works with; `g` is the gradient of the first output, of that output's shape. */
export interface GradientCase {
  node: Node;
  g: Value;
  y: Value;
  on: ValueMaths;
}

/** A gradient for each input, in the input's shape; undefined where there is none. */
export type GradientRule = (of: GradientCase) => (Value | undefined)[];

/** Arithmetic on values while a gradient is recorded; operands broadcast to the first one. */
export class ValueMaths {
  constructor(readonly recorder: Recorder) {}

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

  where(condition: Value, a: Value, b: Value): Value {
    return this.recorder.apply("select", [condition, a, b])[0]!;
  }

  /** The sum over the last `count` axes. */
  sumLast(x: Value, count: number): Value {
    if (count === 0) return x;
    return this.recorder.apply("reduce_sum", [x], { attrs: { axes: count } })[0]!;
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
function turned(x: Value): Value {
  const axes = x.dims.map((_, axis) => axis);
  const [a, b] = axes.splice(-2);
  return x.permute([...axes, b!, a!]);
}

/** The value read again along new last axes. */
function alongLast(x: Value, dims: Value["dims"]): Value {
  const added = dims.length - x.dims.length;
  return x.view({ dims, strides: [...x.strides, ...new Array<number>(added).fill(0)] });
}

function backwards(x: Value): Value {
  const last = x.dims.length - 1;
  const count = x.dims[last] as number;
  if (count === 0) return x;
  const stride = x.strides[last]!;
  const size = x.dtype === "f64" ? 8 : 4;
  return x.view({
    dims: x.dims,
    strides: [...x.strides.slice(0, last), -stride],
    offset: x.offset + (count - 1) * stride * size,
  });
}

/** g times the derivative at x, whose value is y. */
function derivative(of: (on: ValueMaths, x: Value, y: Value) => Value): GradientRule {
  return ({ node, g, y, on }) => [on.mul(g, of(on, node.inputs[0]!, y))];
}

/** Of the operand that was chosen: the first where the comparison holds. */
function chosen(op: "less", swapped: boolean): GradientRule {
  return ({ node, g, on }) => {
    const [a, b] = node.inputs as [Value, Value];
    const first = on.recorder.apply(op, swapped ? [b, a] : [a, b])[0]!;
    const none = on.number(0, g);
    return [on.where(first, g, none), on.where(first, none, g)];
  };
}

/** Shared among all elements that are the extreme. */
const extreme: GradientRule = ({ node, g, y, on }) => {
  const x = node.inputs[0]!;
  const axes = Number(node.attrs.axes);
  const equal = on.recorder.apply("equal", [x, alongLast(y, x.dims)])[0]!;
  const share = on.cast(equal, x.dtype);
  const each = on.div(g, on.sumLast(share, axes));
  return [on.mul(share, alongLast(each, x.dims))];
};

export const gradientRules: Partial<Record<OpName, GradientRule>> = {
  copy: ({ node, g, on }) => [on.cast(g, node.inputs[0]!.dtype)],
  add: ({ g }) => [g, g],
  sub: ({ g, on }) => [g, on.neg(g)],
  mul: ({ node, g, on }) => [on.mul(g, node.inputs[1]!), on.mul(g, node.inputs[0]!)],
  div: ({ node, g, y, on }) => {
    const first = on.div(g, node.inputs[1]!);
    return [first, on.neg(on.mul(first, y))];
  },
  power: ({ node, g, y, on }) => {
    const [x, exponent] = node.inputs as [Value, Value];
    const lower = on.binary("power", x, on.sub(exponent, 1));
    return [on.mul(g, on.mul(exponent, lower)), on.mul(g, on.mul(y, on.unary("log", x)))];
  },
  modulo: ({ node, g, on }) => {
    const quotient = on.unary("floor", on.div(node.inputs[0]!, node.inputs[1]!));
    return [g, on.neg(on.mul(g, quotient))];
  },
  minimum: chosen("less", false),
  maximum: chosen("less", true),
  neg: ({ g, on }) => [on.neg(g)],
  abs: ({ node, g, on }) => {
    const x = node.inputs[0]!;
    const none = on.number(0, x);
    const above = on.recorder.apply("less", [none, x])[0]!;
    const below = on.recorder.apply("less", [x, none])[0]!;
    return [on.where(above, g, on.where(below, on.neg(g), none))];
  },
  floor: () => [undefined],
  ceil: () => [undefined],
  round: () => [undefined],
  sqrt: ({ g, y, on }) => [on.div(on.mul(g, 0.5), y)],
  exp: derivative((_, __, y) => y),
  log: ({ node, g, on }) => [on.div(g, node.inputs[0]!)],
  sin: derivative((on, x) => on.unary("cos", x)),
  cos: derivative((on, x) => on.neg(on.unary("sin", x))),
  tan: derivative((on, _, y) => on.add(on.mul(y, y), 1)),
  asin: ({ node, g, on }) => [on.div(g, cosineOf(on, node.inputs[0]!))],
  acos: ({ node, g, on }) => [on.neg(on.div(g, cosineOf(on, node.inputs[0]!)))],
  atan: ({ node, g, on }) => [on.div(g, on.add(on.mul(node.inputs[0]!, node.inputs[0]!), 1))],
  tanh: derivative((on, _, y) => on.add(on.neg(on.mul(y, y)), 1)),
  erf: derivative((on, x) => on.mul(on.unary("exp", on.neg(on.mul(x, x))), 2 / Math.sqrt(Math.PI))),
  sigmoid: derivative((on, _, y) => on.mul(y, on.add(on.neg(y), 1))),
  equal: () => [undefined, undefined],
  not_equal: () => [undefined, undefined],
  less: () => [undefined, undefined],
  less_equal: () => [undefined, undefined],
  select: ({ node, g, on }) => {
    const none = on.number(0, g);
    const condition = node.inputs[0]!;
    return [undefined, on.where(condition, g, none), on.where(condition, none, g)];
  },
  reduce_sum: ({ node, g }) => [alongLast(g, node.inputs[0]!.dims)],
  reduce_product: ({ node, g, y, on }) => {
    const x = node.inputs[0]!;
    return [on.div(alongLast(on.mul(g, y), x.dims), x)];
  },
  reduce_max: extreme,
  reduce_min: extreme,
  arg_max: () => [undefined],
  arg_min: () => [undefined],
  cumulative_sum: ({ g, on }) => [backwards(on.unary("cumulative_sum", backwards(g)))],
  take: ({ node, g, on }) => {
    const [x, index] = node.inputs as [Value, Value];
    return [on.recorder.apply("scatter_add", [on.number(0, x), index, g])[0]!, undefined];
  },
  scatter_add: ({ node, g, on }) => [
    g,
    undefined,
    on.recorder.apply("take", [g, node.inputs[1]!])[0]!,
  ],
  place: ({ node, g }) => {
    const { dims } = node.inputs[0]!;
    const strides = dims.map((_, axis) => Number(node.attrs[`stride_${axis}`]));
    const size = g.dtype === "f64" ? 8 : 4;
    return [g.view({ dims, strides, offset: g.offset + Number(node.attrs.offset) * size })];
  },
  matmul: ({ node, g, on }) => {
    const [a, b] = node.inputs as [Value, Value];
    return [
      on.sumTo(on.matmul(g, turned(on.cast(b, g.dtype))), a.dims),
      on.sumTo(on.matmul(turned(on.cast(a, g.dtype)), g), b.dims),
    ];
  },
};

/** sqrt(1 - x^2) */
function cosineOf(on: ValueMaths, x: Value): Value {
  return on.unary("sqrt", on.add(on.neg(on.mul(x, x)), 1));
}
