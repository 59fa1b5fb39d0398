/**
 * A projection of a BitNet layer: y = W x (+ bias), where W is packed ternary and x is quantized
 * to int8 per token, or W is dense and x stays as it is. Some families normalise the input of each
 * projection on its own.
 */
import {
  type Graph,
  isTernaryLayout,
  packedSize,
  tileRows,
  type Value,
  type Weight,
} from "../graph/index.ts";

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

/** Rows that several projections read: quantized once, and only where a ternary one asks. */
export class Activations {
  #quantized: [q: Value, scale: Value] | undefined;

  constructor(
    readonly graph: Graph,
    readonly x: Value,
  ) {}

  quantized(): [q: Value, scale: Value] {
    this.#quantized ??= this.graph.apply("quantize_rows", [this.x], {
      attrs: { levels: 127 },
    }) as [Value, Value];
    return this.#quantized;
  }
}

/** Records a projection of f32 rows. */
export function project(input: Activations, projection: Projection): Value {
  const { graph } = input;
  const { weight, bias, norm } = projection;
  const source = norm ? new Activations(graph, rmsNorm(graph, input.x, norm)) : input;
  const biases = bias ? [graph.constant(bias)] : [];
  if (isTernaryLayout(weight.layout)) {
    return graph.one("ternary_matmul", [...source.quantized(), graph.constant(weight), ...biases], {
      attrs: { has_bias: biases.length, has_residual: 0 },
    });
  }
  return graph.one("dense_matmul", [source.x, graph.constant(weight), ...biases], {
    attrs: { has_bias: biases.length },
  });
}

/**
 * Projections of one input as one product with slices of its rows, where their packed weights and
 * scales lie behind one another; otherwise each by itself. Same bits either way.
 */
export function projectTogether(input: Activations, projections: readonly Projection[]): Value[] {
  const fused = fuseWeights(projections);
  if (!fused) return projections.map((projection) => project(input, projection));
  const y = project(input, { weight: fused });
  let start = 0;
  return projections.map(({ weight }) => {
    const part = y.slice(1, start, weight.shape[0]!);
    start += weight.shape[0]!;
    return part;
  });
}

function fuseWeights(projections: readonly Projection[]): Weight | undefined {
  const [first] = projections;
  if (!first?.weight.rowScale || !isTernaryLayout(first.weight.layout)) return undefined;
  let end = first.weight.offset;
  let scaleEnd = first.weight.rowScale.offset;
  let rows = 0;
  for (const { weight, bias, norm } of projections) {
    const { rowScale, shape } = weight;
    if (bias || norm || weight.layout !== first.weight.layout || !rowScale) return undefined;
    if (weight.region !== first.weight.region || weight.offset !== end) return undefined;
    if (rowScale.region !== first.weight.rowScale.region || rowScale.offset !== scaleEnd) {
      return undefined;
    }
    // Rows that are not whole tiles leave a gap before the next matrix.
    if (rows % tileRows !== 0) return undefined;
    rows += shape[0]!;
    end += packedSize(weight.layout, shape[0]!, shape[1]!);
    scaleEnd += shape[0]! * 4;
  }
  const shape = [rows, first.weight.shape[1]!];
  return { ...first.weight, shape, rowScale: { ...first.weight.rowScale, shape: [rows] } };
}
