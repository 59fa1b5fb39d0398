/** Activations as formulas over elementwise ops, in the value's own dtype. */
import { isFloat, type Value } from "../graph/index.ts";
import type { DType } from "./dtypes.ts";
import { binary, cast, compare, divide, type Operand, select, unary } from "./elementwise.ts";
import { compact, contiguous, reshape } from "./movement.ts";
import { pending } from "./pending.ts";
import { axisBack, lastAxis, logSumExp, reduced } from "./reductions.ts";
import { normalizeAxis, shapeOf, sizeOf } from "./shapes.ts";
import { isTaping } from "./tape.ts";

/** max(x, 0), whose derivative at 0 is 0. */
export function relu(x: Value): Value {
  // `maximum` halves a gradient between equal operands, torch's relu does not.
  return isTaping() ? select(compare("less_equal", x, 0), 0, x) : binary("maximum", x, 0);
}

/** Within bounds, either of which may be left out; what lies on a bound has its gradient. */
export function clip(x: Value, { min, max }: { min?: Operand; max?: Operand }): Value {
  if (!isTaping()) {
    const above = min === undefined ? x : binary("maximum", x, min);
    return max === undefined ? above : binary("minimum", above, max);
  }
  const above = min === undefined ? x : select(compare("less", x, min), min, x);
  return max === undefined ? above : select(compare("less", max, above), max, above);
}

/** max(x, 0)^2 */
export function relu2(x: Value): Value {
  const positive = relu(x);
  return binary("mul", positive, positive);
}

/** log(1 + e^x) */
export function softplus(x: Value): Value {
  const tail = unary("exp", unary("neg", unary("abs", x)));
  return binary("add", binary("maximum", x, 0), unary("log", binary("add", tail, 1)));
}

/** x / (1 + e^-x) */
export function silu(x: Value): Value {
  return binary("mul", x, unary("sigmoid", x));
}

/**
 * x times the normal distribution's share below it: x (1 + erf(x / sqrt 2)) / 2, or its
 * approximation x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
 * Source: Hendrycks and Gimpel, "Gaussian error linear units", arXiv 1606.08415.
 */
export function gelu(x: Value, approximate: "none" | "tanh" = "none"): Value {
  const inner =
    approximate === "none"
      ? unary("erf", binary("mul", x, Math.SQRT1_2))
      : unary("tanh", binary("mul", cubic(x), Math.sqrt(2 / Math.PI)));
  return binary("mul", binary("mul", x, 0.5), binary("add", inner, 1));
}

function cubic(x: Value): Value {
  const cube = binary("mul", x, binary("mul", x, x));
  return binary("add", x, binary("mul", cube, 0.044715));
}

/** e^x / sum(e^x) along an axis, the largest element taken off first. */
export function softmax(x: Value, axis: number): Value {
  const at = normalizeAxis(axis, x.dims.length);
  const dtype = isFloat(x.dtype) ? (x.dtype as DType) : "f32";
  if (dtype !== "f64") {
    const turned = lastAxis(cast(x, "f32"), at);
    const rows = turned.dims.length === 1 ? turned.broadcast([1, turned.dims[0]!]) : turned;
    const y = pending.apply("softmax", [rows.strides.at(-1) === 1 ? rows : compact(rows)])[0]!;
    return cast(axisBack(reshape(y, shapeOf(turned)), at), dtype);
  }
  const most = reduced("reduce_max", x, { axes: axis, keepDims: true });
  const shares = unary("exp", binary("sub", x, most));
  return divide(shares, reduced("reduce_sum", shares, { axes: axis, keepDims: true }));
}

/** All but the last axis as rows of f32 without gaps. */
export function rowsOf(x: Value): Value {
  const shape = shapeOf(x);
  const width = shape.at(-1)!;
  const rows = sizeOf(shape.slice(0, -1));
  return contiguous(cast(x, "f32")).view({ dims: [rows, width], strides: [width, 1] });
}

/** x - log(sum(e^x)) along an axis. */
export function logSoftmax(x: Value, axis: number): Value {
  return binary("sub", x, logSumExp(x, { axes: axis, keepDims: true }));
}
