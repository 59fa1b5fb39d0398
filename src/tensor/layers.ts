/**
 * The layers that models are made of, as functions of values: norms, rotary positions, losses and
 * BitLinear. In f32 they are instructions that models run, too; in f64 they are written out.
 */
import { BitNetError } from "../errors/index.ts";
import { isFloat, isTernaryLayout, type Value } from "../graph/index.ts";
import { logSoftmax, rowsOf } from "./activations.ts";
import type { DType } from "./dtypes.ts";
import { binary, cast, compare, divide, select, unary } from "./elementwise.ts";
import { gather } from "./gathering.ts";
import { compact, part, permute, reshape } from "./movement.ts";
import { isPacked, packTernary } from "./packed.ts";
import { pending } from "./pending.ts";
import { mean, reduced } from "./reductions.ts";
import { formatShape, type Shape, shapeOf, sizeOf } from "./shapes.ts";

/** Over the last axis: gamma x / sqrt(mean(x^2) + eps). */
export function rmsNorm(x: Value, gamma: Value, eps: number): Value {
  const width = shapeOf(x).at(-1);
  if (width === undefined || gamma.dims.length !== 1 || gamma.dims[0] !== width) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `rmsNorm of ${formatShape(shapeOf(x))} by ${formatShape(shapeOf(gamma))}: want a vector as ` +
        "long as the last axis",
    );
  }
  const dtype = x.dtype as DType;
  if (dtype === "f64" || gamma.dtype === "f64") {
    const square = mean(binary("mul", x, x), { axes: -1, keepDims: true });
    const root = unary("sqrt", binary("add", square, eps));
    return binary("mul", divide(x, root), gamma);
  }
  const inputs = [rowsOf(x), compact(cast(gamma, "f32"))];
  const y = pending.apply("rms_norm", inputs, { attrs: { eps } })[0]!;
  return cast(reshape(y, shapeOf(x)), isFloat(dtype) ? dtype : "f32");
}

export interface RopeParts {
  /** Whole numbers from 0, one a row. */
  positions: Value;
  /** The base of the frequencies theta^(-2 i / width). */
  theta: number;
  /** Whether neighbours make a pair, instead of an element and that half a head further on. */
  interleaved: boolean;
}

/**
 * Pairs of elements of x (rows, ..., width), turned by the angle position * frequency.
 * Source: Su et al., "RoFormer: enhanced transformer with rotary position embedding",
 * arXiv 2104.09864.
 */
export function rope(x: Value, { positions, theta, interleaved }: RopeParts): Value {
  const shape = shapeOf(x);
  const width = shape.at(-1) ?? 0;
  if (shape.length < 2 || width % 2 !== 0 || shapeOf(positions).join() !== `${shape[0]}`) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `rope of ${formatShape(shape)} at positions ${formatShape(shapeOf(positions))}: want ` +
        "(rows, ..., an even width) and a position a row",
    );
  }
  const half = width / 2;
  const heads = width === 0 ? 0 : sizeOf(shape.slice(1)) / width;
  const pairs = interleaved ? permute(reshape(x, [shape[0]!, heads, half, 2]), [0, 1, 3, 2]) : x;
  const turned = compact(reshape(cast(pairs, "f32"), [shape[0]!, heads, width]));
  const frequencies = powersOf(theta, half);
  const [cos, sin] = pending.apply("rope_angles", [compact(cast(positions, "i32")), frequencies], {
    attrs: { scale: 1 },
  });
  const y = pending.apply("rope", [turned, cos!, sin!])[0]!;
  const back = interleaved ? permute(reshape(y, [shape[0]!, heads, 2, half]), [0, 1, 3, 2]) : y;
  return cast(reshape(back, shape), isFloat(x.dtype) ? (x.dtype as DType) : "f32");
}

/** theta^(-i / count) for i from 0 to count - 1, rounded once to f32. */
function powersOf(theta: number, count: number): Value {
  const ones = pending.number(1, "i32").broadcast([count]);
  const places = binary("sub", pending.apply("cumulative_sum", [ones])[0]!, 1);
  const exponents = divide(cast(places, "f64"), -Math.max(1, count));
  return compact(cast(binary("power", theta64(theta), exponents), "f32"));
}

function theta64(theta: number): Value {
  return pending.number(theta, "f64");
}

export interface CrossEntropyParts {
  /** Whole numbers: the class of each row. */
  target: Value;
  /** A class whose rows do not count. */
  ignoreIndex: number;
  reduction: "mean" | "sum" | "none";
}

/** -log softmax(x)[target] for each row of x (..., classes). */
export function crossEntropy(x: Value, parts: CrossEntropyParts): Value {
  const { target, ignoreIndex, reduction } = parts;
  const shape = shapeOf(x);
  const rows: Shape = shape.slice(0, -1);
  if (shape.length === 0 || shapeOf(target).join() !== rows.join()) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `crossEntropy of ${formatShape(shape)} for targets ${formatShape(shapeOf(target))}: want ` +
        `${formatShape(rows)}, a class for each row`,
    );
  }
  const counts = compare("not_equal", target, ignoreIndex);
  const places = select(counts, target, 0);
  const index = reshape(places, [...rows, 1]);
  const picked = reshape(gather(logSoftmax(x, -1), -1, index), rows);
  const losses = select(counts, unary("neg", picked), 0);
  if (reduction === "none") return losses;
  const sum = reduced("reduce_sum", losses);
  if (reduction === "sum") return sum;
  return divide(sum, reduced("reduce_sum", cast(counts, "i32")));
}

/**
 * y = x w^T + bias by integers: rows of x quantized to int8 by their largest element, weights
 * ternary; products are summed exactly and scaled once. Float weights are ternarized by absmean on
 * the way, and gradients go straight through both quantizers.
 */
export function bitLinear(x: Value, w: Value, bias?: Value): Value {
  const [outputs, inputs] = shapeOf(w);
  const shape = shapeOf(x);
  if (w.dims.length !== 2 || shape.length === 0 || shape.at(-1) !== inputs) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `bitLinear of ${formatShape(shape)} by weights ${formatShape(shapeOf(w))}: want weights ` +
        "(outputs, inputs) and as many inputs in the last axis",
    );
  }
  if (bias && shapeOf(bias).join() !== `${outputs}`) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `bitLinear with a bias ${formatShape(shapeOf(bias))}: want one for each of ${outputs} outputs`,
    );
  }
  requireSum(inputs!);
  const isReady = isPacked(w) && isTernaryLayout(w.layout);
  const weights = isReady ? w : packTernary(w, {});
  const quantized = pending.apply("quantize_rows", [rowsOf(x)], { attrs: { levels: 127 } });
  const operands = [...quantized, weights];
  if (bias) operands.push(compact(cast(bias, "f32")));
  const attrs = { has_bias: bias ? 1 : 0, has_residual: 0 };
  const y = pending.apply("ternary_matmul", operands, { attrs })[0]!;
  const dtype = isFloat(x.dtype) ? (x.dtype as DType) : "f32";
  return cast(reshape(y, [...shape.slice(0, -1), outputs!]), dtype);
}

/** The longest row whose sums an i32 holds and a worker's memory has room for. */
const inputsMax = 1 << 17;

function requireSum(inputs: number): void {
  if (inputs <= inputsMax) return;
  throw new BitNetError(
    "tensor/bad-shape",
    `bitLinear of ${inputs} inputs: want at most ${inputsMax}`,
  );
}

/** x in halves along the last axis: silu of the first times the second. */
export function gated(x: Value, activation: "silu" | "relu2"): Value {
  const width = shapeOf(x).at(-1) ?? 1;
  if (width % 2 !== 0) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `gated of ${formatShape(shapeOf(x))}: want an even last axis, gates before what they gate`,
    );
  }
  const axis = x.dims.length - 1;
  const [gate, up] = [0, width / 2].map((start) =>
    part(x, axis, { start, count: width / 2, step: 1 }),
  ) as [Value, Value];
  const dtype = x.dtype as DType;
  if (dtype === "f64") {
    const positive = activation === "relu2" ? binary("maximum", gate, 0) : gate;
    const other = activation === "relu2" ? positive : unary("sigmoid", gate);
    return binary("mul", binary("mul", positive, other), up);
  }
  const inputs = [rowsOf(gate), rowsOf(up)];
  const y = pending.apply("gated_activation", inputs, { attrs: { activation } })[0]!;
  return cast(reshape(y, shapeOf(gate)), isFloat(dtype) ? dtype : "f32");
}
