/**
 * The op table: for each operation of a Program the outputs it makes and the work it is. The name
 * is the kernel's name; attributes come from the kernel's own declaration (abi.gen.ts).
 */
import {
  type DTypeName,
  headBoundRows,
  type LayoutName,
  type OpName,
  SamplingColumn,
} from "../native/index.ts";
import { chainStepOps } from "./chain.ts";
import {
  choleskyShapes,
  eighShapes,
  luShapes,
  matmulShape,
  qrShapes,
  solveShapes,
  svdShapes,
  triangularSolveShapes,
} from "./dense-shapes.ts";
import { type Dim, extentMax, formatDims, sameDims } from "./dims.ts";
import { type Attrs, type Node, packedSize, type Value } from "./value.ts";

/** What an op makes when its outputs are not given. */
export interface OutputShape {
  dtype: DTypeName;
  dims: readonly Dim[];
  /** Of a packed matrix. */
  layout?: LayoutName;
}

export interface OpRule {
  /** Shapes of the outputs; null for one that the caller must provide. */
  outputs(inputs: readonly Value[], attrs: Attrs): (OutputShape | null)[];
  /** Simple operations at the largest sizes; the elements of the outputs by default. */
  work?(inputs: readonly Value[], outputs: readonly Value[], attrs: Attrs): number;
  /** Always on one worker. */
  serial?: boolean;
}

/** Columns of the sampling parameters. */
export const samplingColumns = Object.keys(SamplingColumn).length;

const likeFirst: OpRule = {
  outputs: ([x]) => [{ dtype: x!.dtype, dims: x!.dims }],
};

/** Two operands of one shape to bools. */
const comparison: OpRule = {
  outputs: (inputs) => [{ dtype: "bool", dims: sameShape(inputs).dims }],
};

/** Without the last axes, as many as the attribute says. */
const reduction: OpRule = {
  outputs([x], { axes }) {
    return [{ dtype: x!.dtype, dims: x!.dims.slice(0, x!.dims.length - Number(axes)) }];
  },
  work: ([x]) => elements(x!),
};

/** Without the last axis: an index into it. */
const indexOfExtreme: OpRule = {
  outputs: ([x]) => [{ dtype: "i32", dims: x!.dims.slice(0, -1) }],
  work: ([x]) => elements(x!),
};

/** A function of each element, and what it costs beside an addition. */
function unary(cost: number): OpRule {
  return { ...likeFirst, work: (_, outputs) => cost * elements(outputs[0]!) };
}

const random: OpRule = { outputs: () => [null], work: (_, outputs) => 20 * elements(outputs[0]!) };

const elementwise: OpRule = {
  outputs: (inputs) => [sameShape(inputs)],
};

function sameShape([a, b]: readonly Value[]): OutputShape {
  if (!sameDims(a!.dims, b!.dims) || a!.dtype !== b!.dtype) {
    throw new Error(`operands differ: ${a} and ${b}; broadcast one to the other's shape`);
  }
  return { dtype: a!.dtype, dims: a!.dims };
}

/** Rows of the first operand by rows of the weight. */
function matmul(weightAt: number): OpRule {
  return {
    outputs(inputs) {
      const x = inputs[0]!;
      const w = inputs[weightAt]!;
      if (x.dims[1] !== w.dims[1]) throw new Error(`widths differ: ${x} and ${w}`);
      return [{ dtype: "f32", dims: [x.dims[0]!, w.dims[0]!] }];
    },
    work: (inputs) => elements(inputs[0]!) * extentMax(inputs[weightAt]!.dims[0]!),
  };
}

const quantized: OpRule = {
  outputs: ([x]) => [
    { dtype: "i8", dims: x!.dims },
    { dtype: "f32", dims: [x!.dims[0]!] },
  ],
};

export const opTable: Record<OpName, OpRule> = {
  copy: likeFirst,
  add: elementwise,
  sub: elementwise,
  mul: elementwise,
  div: elementwise,
  softmax: likeFirst,
  embedding: {
    outputs: ([ids, table]) => [{ dtype: "f32", dims: [ids!.dims[0]!, table!.dims[1]!] }],
  },
  rms_norm: likeFirst,
  rms_norm_quantize: quantized,
  quantize_rows: {
    outputs: ([x], attrs) => [
      { dtype: (attrs.levels as number) > 127 ? "i16" : "i8", dims: x!.dims },
      { dtype: "f32", dims: [x!.dims[0]!] },
    ],
  },
  ternary_matmul: matmul(2),
  int8_matmul: matmul(2),
  head_screen: {
    outputs([x, , high]) {
      const [sequences, rows] = [x!.dims[0]!, extentMax(high!.dims[0]!)];
      return [
        { dtype: "i32", dims: [sequences, rows] },
        { dtype: "f32", dims: [sequences, 2 * Math.ceil(rows / headBoundRows)] },
      ];
    },
    work: ([x, , high]) => elements(x!) * extentMax(high!.dims[0]!),
  },
  head_refine: matmul(2),
  dense_matmul: matmul(1),
  rope_angles: {
    outputs([positions, frequencies]) {
      const dims = [positions!.dims[0]!, frequencies!.dims[0]!];
      return [
        { dtype: "f32", dims },
        { dtype: "f32", dims },
      ];
    },
    work: (_, outputs) => 100 * elements(outputs[0]!),
  },
  rope: likeFirst,
  kv_write: { outputs: () => [null, null], work: ([k]) => 2 * elements(k!) },
  attention: {
    outputs: ([q]) => [{ dtype: "f32", dims: q!.dims }],
    work: ([q, , , , , pages]) => elements(q!) * extentMax(pages!.dims[1]!) * 128,
  },
  gated_activation: likeFirst,
  gather_rows: {
    outputs: ([x, rows]) => [{ dtype: "f32", dims: [rows!.dims[0]!, x!.dims[1]!] }],
  },
  sampling_probs: {
    outputs: ([logits]) => [{ dtype: "f32", dims: logits!.dims }],
    work: (_, outputs) => 20 * elements(outputs[0]!),
  },
  sample: {
    outputs: ([probs, random]) => [
      { dtype: "i32", dims: [probs!.dims[0]!] },
      { dtype: "u32", dims: random!.dims },
      null,
      null,
    ],
    work: ([probs]) => elements(probs!),
    serial: true,
  },
  emit: { outputs: () => [null], serial: true },
  stop_when: {
    outputs: ([token]) => [{ dtype: "i32", dims: token!.dims }],
    serial: true,
  },
  abs_stats: {
    outputs: ([w]) => [{ dtype: "f64", dims: [w!.dims[0]!, 3] }],
    work: ([w]) => elements(w!),
  },
  ternarize: { outputs: ([w]) => [{ dtype: "i8", dims: w!.dims }] },
  unpack_ternary: {
    outputs([w]) {
      const blocked = w!.layout === "tq1_0" || w!.layout === "tq2_0";
      const blocks = blocked ? elements(w!) / 256 : 1;
      return [
        { dtype: "i8", dims: w!.dims },
        { dtype: "f32", dims: [blocks] },
      ];
    },
  },
  quantize_nibbles: {
    outputs: () => [null, null, null, null, null],
    work: ([w]) => elements(w!),
  },
  pack_tile2: { outputs: () => [null], work: ([codes]) => elements(codes!) },
  pack_tile3: { outputs: () => [null], work: ([codes]) => elements(codes!) },
  unpack_packed: {
    outputs: (_, { rows, columns }) => [{ dtype: "i8", dims: [rows as number, columns as number] }],
  },
  pack_ternary: { outputs: () => [null], work: ([codes]) => elements(codes!) },
  convert: {
    outputs([x], attrs) {
      if (!attrs.has_losses) return [null];
      return [null, { dtype: "f64", dims: [Math.ceil(elements(x!) / 1024), 4] }];
    },
    work: ([x]) => elements(x!),
  },
  matmul: {
    outputs: ([a, b]) => [matmulShape(a!, b!)],
    work: ([a], [c]) => elements(c!) * extentMax(a!.dims.at(-1)!),
  },
  cholesky: { outputs: ([a]) => choleskyShapes(a!), work: ([a]) => cubed(a!) },
  lu: { outputs: ([a]) => luShapes(a!), work: ([a]) => cubed(a!) },
  solve: { outputs: ([a, b]) => solveShapes(a!, b!), work: ([a, b]) => cubed(a!) + cubed(b!) },
  triangular_solve: {
    outputs: ([a, b]) => triangularSolveShapes(a!, b!),
    work: ([a, b]) => cubed(a!) + cubed(b!),
  },
  qr: { outputs: ([a], { full }) => qrShapes(a!, full === true), work: ([a]) => 4 * cubed(a!) },
  svd: {
    outputs: ([a], { vectors }) => svdShapes(a!, vectors as number),
    work: ([a]) => 20 * cubed(a!),
  },
  eigh: {
    outputs: ([a], { vectors }) => eighShapes(a!, vectors === true),
    work: ([a]) => 10 * cubed(a!),
  },
  neg: unary(1),
  abs: unary(1),
  floor: unary(1),
  ceil: unary(1),
  round: unary(1),
  sqrt: unary(4),
  exp: unary(20),
  log: unary(20),
  sin: unary(20),
  cos: unary(20),
  tan: unary(20),
  asin: unary(20),
  acos: unary(20),
  atan: unary(20),
  tanh: unary(20),
  erf: unary(20),
  sigmoid: unary(20),
  power: elementwise,
  modulo: elementwise,
  minimum: elementwise,
  maximum: elementwise,
  equal: comparison,
  not_equal: comparison,
  less: comparison,
  less_equal: comparison,
  reduce_sum: reduction,
  reduce_product: reduction,
  reduce_max: reduction,
  reduce_min: reduction,
  select: { outputs: ([, a]) => [{ dtype: a!.dtype, dims: a!.dims }] },
  arg_max: indexOfExtreme,
  arg_min: indexOfExtreme,
  cumulative_sum: likeFirst,
  take: {
    outputs: ([x, index]) => [{ dtype: x!.dtype, dims: [index!.dims[0]!, ...x!.dims.slice(1)] }],
    work: (_, outputs) => elements(outputs[0]!),
  },
  scatter_add: {
    outputs: ([base]) => [{ dtype: base!.dtype, dims: base!.dims }],
    work: ([base, , x]) => elements(base!) + elements(x!),
  },
  place: { outputs: () => [null], work: (_, outputs) => elements(outputs[0]!) },
  concat: {
    outputs(parts, { axis }) {
      const at = Number(axis);
      const count = parts.reduce((sum, { dims }) => sum + extentMax(dims[at]!), 0);
      const dims = parts[0]!.dims.map((dim, index) => (index === at ? count : dim));
      return [{ dtype: parts[0]!.dtype, dims }];
    },
    work: (_, outputs) => elements(outputs[0]!),
  },
  sort: {
    outputs: ([x]) => [
      { dtype: x!.dtype, dims: x!.dims },
      { dtype: "i32", dims: x!.dims },
      { dtype: "i32", dims: x!.dims },
    ],
    work: ([x]) => 40 * elements(x!),
  },
  random_uniform: random,
  random_normal: random,
  elementwise_chain: {
    outputs: () => [null],
    work(inputs, outputs, attrs) {
      const each = elements(outputs[0]!);
      let sum = 0;
      for (const op of chainStepOps(attrs)) {
        sum += opTable[op].work?.(inputs, outputs, attrs) ?? each;
      }
      return sum;
    },
  },
};

/** Simple operations of an instruction at the largest sizes. */
export function workOf({ op, inputs, outputs, attrs }: Node): number {
  const { work } = opTable[op];
  if (work) return work(inputs, outputs, attrs);
  return Math.max(...[...inputs.slice(0, 1), ...outputs].map(elements));
}

/** Operations of a decomposition, but for its factor: elements times the shorter side. */
function cubed(a: Value): number {
  return elements(a) * Math.min(...a.dims.slice(-2).map(extentMax));
}

/** Elements at the largest sizes. */
export function elements(value: Pick<Value, "dims">): number {
  return value.dims.reduce<number>((product, dim) => product * extentMax(dim), 1);
}

/** Bytes that one step reads of a value for given sizes. */
export function bytesOf(value: Value, extents: readonly number[], elementSize: number): number {
  if (value.layout !== "strided") return packedSize(value.layout, extents[0]!, extents[1]!);
  if (extents.length === 0 && value.dims.length > 0) {
    throw new Error(`no sizes for ${formatDims(value.dims)}`);
  }
  return extents.reduce((product, extent) => product * extent, elementSize);
}
