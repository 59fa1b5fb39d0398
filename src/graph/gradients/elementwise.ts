/**
 * Gradients of what works element by element. At the edges they are torch's: `maximum` and
 * `minimum` halve the gradient between equal operands, abs has none at 0, sqrt an infinite one,
 * and of a power the base has none for the exponent 0, the exponent none for the base 0.
 */
import type { OpName } from "../../native/index.ts";
import type { Value } from "../value.ts";
import { type GradientRule, none } from "./rule.ts";
import type { ValueMaths } from "./value-maths.ts";

/** g times the derivative at x, whose value is y. */
function derivative(of: (on: ValueMaths, x: Value, y: Value) => Value): GradientRule {
  return ({ node, g, y, on }) => [on.mul(g, of(on, node.inputs[0]!, y))];
}

/** Of the smaller or the larger operand; of equal ones each has half. */
function chosen(isLess: (on: ValueMaths, a: Value, b: Value) => Value): GradientRule {
  return ({ node, g, on }) => {
    const [a, b] = node.inputs as [Value, Value];
    const share = on.where(on.binary("equal", a, b), on.mul(g, 0.5), g);
    const zero = on.number(0, g);
    return [
      () => on.where(isLess(on, b, a), zero, share),
      () => on.where(isLess(on, a, b), zero, share),
    ];
  };
}

const power: GradientRule = ({ node, g, y, on }) => {
  const [x, exponent] = node.inputs as [Value, Value];
  const zero = on.number(0, g);
  return [
    () => {
      const lower = on.binary("power", x, on.sub(exponent, 1));
      const isFlat = on.binary("equal", exponent, 0);
      return on.where(isFlat, zero, on.mul(g, on.mul(exponent, lower)));
    },
    () => {
      const slope = on.mul(g, on.mul(y, on.unary("log", x)));
      const isDefined = on.where(
        on.binary("equal", x, 0),
        on.binary("less_equal", on.number(0, exponent), exponent),
        on.binary("less", exponent, exponent),
      );
      return on.where(isDefined, zero, slope);
    },
  ];
};

const abs: GradientRule = ({ node, g, on }) => {
  const x = node.inputs[0]!;
  const zero = on.number(0, x);
  const above = on.binary("less", zero, x);
  const below = on.binary("less", x, zero);
  return [on.where(above, g, on.where(below, on.neg(g), zero))];
};

const flat: GradientRule = () => [undefined];
const truth = none("it makes bools, which do not change little by little");

export const elementwiseGradients = {
  add: ({ g }) => [g, g],
  sub: ({ g, on }) => [g, () => on.neg(g)],
  mul: ({ node, g, on }) => [() => on.mul(g, node.inputs[1]!), () => on.mul(g, node.inputs[0]!)],
  div: ({ node, g, y, on }) => {
    const first = on.div(g, node.inputs[1]!);
    return [first, () => on.neg(on.mul(first, y))];
  },
  power,
  modulo: ({ node, g, on }) => [
    g,
    () => on.neg(on.mul(g, on.unary("floor", on.div(node.inputs[0]!, node.inputs[1]!)))),
  ],
  minimum: chosen((on, a, b) => on.binary("less", a, b)),
  maximum: chosen((on, a, b) => on.binary("less", b, a)),
  neg: ({ g, on }) => [on.neg(g)],
  abs,
  floor: flat,
  ceil: flat,
  round: flat,
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
  equal: truth,
  not_equal: truth,
  less: truth,
  less_equal: truth,
  select: ({ node, g, on }) => {
    const zero = on.number(0, g);
    const condition = node.inputs[0]!;
    return [undefined, () => on.where(condition, g, zero), () => on.where(condition, zero, g)];
  },
} satisfies Partial<Record<OpName, GradientRule | ReturnType<typeof none>>>;

/** sqrt(1 - x^2) */
function cosineOf(on: ValueMaths, x: Value): Value {
  return on.unary("sqrt", on.add(on.neg(on.mul(x, x)), 1));
}
