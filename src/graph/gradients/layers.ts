/**
 * Gradients of the layers that models are made of. What rounds goes straight through: the gradient
 * of quantized numbers is that of the numbers they stand for (q / a, T * s), and is handed on to
 * what they were made of as it is, scales taken as constants. So y = (q . T) * s / a gives
 * dx = dy . (T * s) and dw = dy^T . (q / a).
 * Source: Bengio, Leonard and Courville, "Estimating or propagating gradients through stochastic
 * neurons for conditional computation", arXiv 1308.3432.
 */
import type { OpName } from "../../native/index.ts";
import type { Value } from "../value.ts";
import type { Gradient, GradientCase, GradientRule } from "./rule.ts";
import { alongLast, turned, type ValueMaths } from "./value-maths.ts";

/** Ops whose integers stand for floats: a gradient goes through them. */
export const straightThrough: ReadonlySet<OpName> = new Set<OpName>([
  "quantize_rows",
  "rms_norm_quantize",
  "ternarize",
  "pack_tile2",
  "pack_tile3",
]);

/** y (g - sum(g y)) over the last axis. */
const softmax: GradientRule = ({ g, y, on }) => [on.mul(y, on.sub(g, on.sumAlong(on.mul(g, y))))];

/** y = gamma x r with r = 1 / sqrt(mean(x^2) + eps). */
const rmsNorm: GradientRule = ({ node, g, on }) => {
  const [x, gamma] = node.inputs as [Value, Value];
  const width = x.dims.at(-1) as number;
  const square = on.div(on.sumLast(on.mul(x, x), 1), width);
  const root = on.unary("sqrt", on.add(square, Number(node.attrs.eps)));
  const normal = on.div(x, alongLast(root, x.dims));
  return [
    () => {
      const scaled = on.mul(g, gamma);
      const along = on.div(on.sumAlong(on.mul(scaled, normal)), width);
      const across = on.sub(scaled, on.mul(normal, along));
      return on.div(across, alongLast(root, x.dims));
    },
    () => on.sumFirst(on.mul(g, normal), 1),
  ];
};

/** Rows of a table, each as often as it was picked. */
function ofRows(at: { table: number; rows: number }): GradientRule {
  return ({ node, g, on }) => {
    const gradients: Gradient[] = [undefined, undefined];
    const table = node.inputs[at.table]!;
    gradients[at.table] = () => on.one("scatter_add", [on.zeros(table), node.inputs[at.rows]!, g]);
    return gradients;
  };
}

/** y = x w^T (+ bias), the weights row by row. */
const denseMatmul: GradientRule = ({ node, g, on }) => {
  const [x, w] = node.inputs as [Value, Value];
  return [
    () => on.matmul(g, requireStrided(w)),
    () => on.matmul(turned(g), x),
    () => on.sumFirst(g, 1),
  ];
};

function requireStrided(w: Value): Value {
  if (w.layout === "strided") return w;
  throw new Error(`no gradient goes through dense weights in ${w.layout}: want floats`);
}

/** Turned back by the same angles; the angles' own from both halves of each head. */
const rope: GradientRule = ({ node, g, on }) => {
  const [x, cos, sin] = node.inputs as [Value, Value, Value];
  const half = (x.dims[2] as number) / 2;
  const low = (value: Value): Value => value.slice(2, 0, half);
  const high = (value: Value): Value => value.slice(2, half, half);
  const overHeads = (value: Value): Value => on.sumLast(value.permute([0, 2, 1]), 1);
  return [
    () => on.one("rope", [g, cos, on.neg(sin)]),
    () => overHeads(on.add(on.mul(low(g), low(x)), on.mul(high(g), high(x)))),
    () => overHeads(on.sub(on.mul(high(g), low(x)), on.mul(low(g), high(x)))),
  ];
};

/** y = f(gate) up. */
const gatedActivation: GradientRule = ({ node, g, on }) => {
  const [gate, up] = node.inputs as [Value, Value];
  const isSilu = node.attrs.activation === "silu";
  const positive = (): Value => on.binary("maximum", gate, 0);
  const sigmoid = (): Value => on.unary("sigmoid", gate);
  return [
    () => {
      if (!isSilu) return on.mul(on.mul(g, up), on.mul(positive(), 2));
      const share = sigmoid();
      const slope = on.mul(share, on.add(on.mul(gate, on.add(on.neg(share), 1)), 1));
      return on.mul(on.mul(g, up), slope);
    },
    () => on.mul(g, isSilu ? on.mul(gate, sigmoid()) : on.mul(positive(), positive())),
  ];
};

/** y = (q . T) s / a (+ bias) (+ residual), for the floats behind q and T. */
const ternaryMatmul: GradientRule = ({ node, g, on }) => {
  const [q, a, w] = node.inputs as [Value, Value, Value];
  const gradients: Gradient[] = [
    () => on.matmul(g, scaledCodes(on, w)),
    undefined,
    () => on.matmul(turned(g), on.div(on.cast(q, "f32"), alongLast(a, q.dims))),
  ];
  if (node.attrs.has_bias) gradients.push(() => on.sumFirst(g, 1));
  if (node.attrs.has_residual) gradients.push(g);
  return gradients;
};

/** T * s (rows, columns), of the codes that were packed, or unpacked where weights are given. */
function scaledCodes(on: ValueMaths, w: Value): Value {
  const { producer } = w.storage;
  const isMade = producer?.op === "pack_tile2" || producer?.op === "pack_tile3";
  const codes = isMade ? producer.inputs[0]! : on.one("unpack_ternary", [w]);
  return on.mul(on.cast(codes, "f32"), alongLast(w.rowScale!, w.dims));
}

/** As it is: what the integers stand for changes as what they were made of does. */
const through: GradientRule = ({ g }) => [g];

export const layerGradients = {
  softmax,
  embedding: ofRows({ table: 1, rows: 0 }),
  gather_rows: ofRows({ table: 0, rows: 1 }),
  rms_norm: rmsNorm,
  rms_norm_quantize: (of: GradientCase) => rmsNorm(of),
  quantize_rows: through,
  ternarize: through,
  pack_tile2: through,
  pack_tile3: through,
  ternary_matmul: ternaryMatmul,
  dense_matmul: denseMatmul,
  matmul: ({ node, g, on }) => {
    const [a, b] = node.inputs as [Value, Value];
    return [
      () => on.sumTo(on.matmul(g, turned(on.cast(b, g.dtype))), a.dims),
      () => on.sumTo(on.matmul(turned(on.cast(a, g.dtype)), g), b.dims),
    ];
  },
  rope,
  gated_activation: gatedActivation,
} satisfies Partial<Record<OpName, GradientRule>>;
