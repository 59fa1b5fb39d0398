/**
 * A projection of a BitNet layer: y = W x (+ bias), where W is packed ternary and x is quantized
 * to int8 per token, or W is dense and x stays as it is. Some families normalise the input of each
 * projection on its own.
 */
import { type Graph, isTernaryLayout, type Value, type Weight } from "../graph/index.ts";

export interface Norm {
  /** f32 (width). */
  gamma: Weight;
  eps: number;
}

export interface Projection {
  /** `tile2` or `tile3` with row scales, or dense floats, (outputs, inputs). */
  weight: Weight;
  /** f32 (outputs). */
  bias?: Weight;
  norm?: Norm;
}

/** y = gamma * x / rms(x), rows of f32. */
export function rmsNorm(graph: Graph, x: Value, norm: Norm): Value {
  return graph.one("rms_norm", [x, graph.constant(norm.gamma)], { attrs: { eps: norm.eps } });
}

/** Records a projection of f32 rows, which a ternary one quantizes; passes share what is equal. */
export function project(graph: Graph, x: Value, { weight, bias, norm }: Projection): Value {
  const rows = norm ? rmsNorm(graph, x, norm) : x;
  const operands = [graph.constant(weight), ...(bias ? [graph.constant(bias)] : [])];
  const has_bias = bias ? 1 : 0;
  if (!isTernaryLayout(weight.layout)) {
    return graph.one("dense_matmul", [rows, ...operands], { attrs: { has_bias } });
  }
  const quantized = graph.apply("quantize_rows", [rows], { attrs: { levels: 127 } });
  return graph.one("ternary_matmul", [...quantized, ...operands], {
    attrs: { has_bias, has_residual: 0 },
  });
}
