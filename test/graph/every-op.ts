/** Each op as a small graph of one instruction, with inputs that suit it: rows are a symbol. */
import { chainOf } from "../../src/graph/chain.ts";
import {
  type Dim,
  dimOf,
  Graph,
  Sym,
  samplingColumns,
  svdVectors,
  type Value,
} from "../../src/graph/index.ts";
import { headBoundRows, type OpName, pagePositions, Region } from "../../src/native/index.ts";
import { normals } from "./reference.ts";

export interface OpCase {
  graph: Graph;
  inputs: Record<string, ArrayBufferView>;
}

export const rowsMax = 5;
const width = 24;
const outputs = 40;
const heads = 4;
const groups = 2;
const pages = 2;

/** One builder an op, so that a new op without one does not compile. */
const recorders: Record<OpName, (recording: Recording) => void> = {
  copy: (r) => r.one([r.f32("x", width)]),
  add: (r) => r.one([r.f32("x", width), r.f32("z", width)]),
  sub: (r) => r.one([r.f32("x", width), r.f32("z", width)]),
  mul: (r) => r.one([r.f32("x", width), r.f32("z", width)]),
  div: (r) => r.one([r.f32("x", width), r.f32("z", width)]),
  softmax: (r) => r.one([r.f32("x", width)]),
  embedding: (r) => r.one([r.ids("ids"), r.fixed("table", 9, width)]),
  rms_norm: (r) => r.one([r.f32("x", width), r.fixed("gamma", width)], { eps: 1e-5 }),
  quantize_rows: (r) => r.one([r.f32("x", width)], { levels: 127 }),
  rms_norm_quantize: (r) => r.one([r.f32("x", width), r.fixed("gamma", width)], { eps: 1e-5 }),
  ternary_matmul: (r) => {
    const operands = [r.i8("q", width), r.scale(), r.ternary(), r.fixed("bias", outputs)];
    r.one([...operands, r.f32("z", outputs)], { has_bias: 1, has_residual: 1 });
  },
  int8_matmul: (r) => {
    const x = r.input("x", "i16", [r.rows, width]);
    r.one([x, r.scale(), ...r.planes(), r.fixed("wa", outputs)]);
  },
  quantize_nibbles: (r) => {
    const w = r.fixed("w", outputs, width);
    const names = ["scales", "centre", "spread"];
    const vectors = names.map((name) => r.graph.output(name, "f32", [outputs]));
    r.into([w], [r.packed("nibble4", "high"), r.packed("nibble4", "low"), ...vectors]);
  },
  head_screen: (r) => {
    const [high] = r.planes();
    r.one([r.input("x", "i16", [r.rows, width]), r.scale(), high!, ...r.head(), ...r.drawing()]);
  },
  head_refine: (r) => {
    const x = r.input("x", "i16", [r.rows, width]);
    const screened = [
      r.input("sums", "i32", [r.rows, outputs]),
      r.f32("bounds", 2 * Math.ceil(outputs / headBoundRows)),
    ];
    r.one([x, r.scale(), ...r.planes(), ...r.head(), ...screened, ...r.drawing()]);
  },
  dense_matmul: (r) => {
    const operands = [r.f32("x", width), r.fixed("w", outputs, width), r.fixed("bias", outputs)];
    r.one(operands, { has_bias: 1 });
  },
  rope_angles: (r) => r.one([r.ids("positions"), r.fixed("frequencies", 6)], { scale: 1 }),
  rope: (r) => {
    const x = r.f32("x", heads * width).splitLast(heads, width);
    r.one([x, r.f32("cos", width / 2), r.f32("sin", width / 2)]);
  },
  kv_write: (r) => {
    const k = r.f32("k", groups * width).splitLast(groups, width);
    const v = r.f32("v", groups * width).splitLast(groups, width);
    r.into([k, v, ...r.places()], r.cache());
  },
  attention: (r) => {
    const q = r.f32("q", heads * width).splitLast(heads, width);
    r.one([q, ...r.cache(), ...r.places()], { scale: 0.2 });
  },
  gated_activation: (r) =>
    r.one([r.f32("gate", width), r.f32("up", width)], { activation: "silu" }),
  gather_rows: (r) => r.one([r.fixed("x", 9, width), r.ids("rows")]),
  sampling_probs: (r) => r.one([r.f32("logits", width), ...r.drawing()]),
  sample: (r) => {
    const random = r.input("random", "u32", [r.rows, 4]);
    const history = r.state("history", 3);
    const lengths = r.state("lengths", 1);
    const flat = r.graph.stateValue(lengths.storage, { dtype: "i32", dims: [dimOf(r.rows)] });
    r.into([r.probabilities(), random], [undefined, undefined, history, flat]);
  },
  emit: (r) => r.into([r.ids("token")], [r.graph.output("ring", "i32", [4, r.rows])]),
  stop_when: (r) => {
    const stops = r.input("stops", "i32", [r.rows, 2]);
    r.one([r.ids("token"), stops, r.input("done", "i32", [r.rows])]);
  },
  abs_stats: (r) => r.one([r.f32("w", width)]),
  ternarize: (r) => r.one([r.f32("w", width), r.fixed("scale", 1)]),
  unpack_ternary: (r) => r.one([r.packed("hf_ternary")]),
  matmul: (r) => r.one([r.f32("x", width), r.fixed("w", width, outputs)]),
  cholesky: (r) => r.one([r.matrices()]),
  lu: (r) => r.one([r.matrices()]),
  solve: (r) => r.one([r.matrices(), r.matrices("b", 3)]),
  triangular_solve: (r) => r.one([r.matrices(), r.matrices("b", 3)], { lower: 1, unit: 1 }),
  qr: (r) => r.one([r.matrices()]),
  svd: (r) => r.one([r.matrices()], { vectors: svdVectors.thin }),
  eigh: (r) => r.one([r.matrices()], { vectors: true }),
  pack_tile2: (r) => r.into([r.input("codes", "i8", [outputs, width])], [r.packed("tile2")]),
  unpack_packed: (r) => {
    const bytes = r.input("bytes", "u8", [7]);
    const codes = r.graph.stateValue(r.state("codes", 7).storage, { dtype: "i8", dims: [1, 7] });
    (r.inputs.bytes as Uint8Array).fill(1);
    r.into([bytes], [codes], { packing: 3, rows: 1, columns: 7 });
  },
  pack_ternary: (r) => {
    const codes = r.input("codes", "i8", [outputs, width]);
    r.into([codes, r.fixed("scale", 1)], [r.packed("hf_ternary")]);
  },
  convert: (r) => {
    const attrs = { scale: 0.02, zero_point: 128, has_losses: 0 };
    const codes = r.graph.output("codes", "u8", [r.rows, width]);
    r.into([r.f32("x", width)], [codes], attrs);
  },
  pack_tile3: (r) => r.into([r.input("codes", "i8", [outputs, width])], [r.packed("tile3")]),
  neg: (r) => r.one([r.f32("x", width)]),
  abs: (r) => r.one([r.f32("x", width)]),
  floor: (r) => r.one([r.f32("x", width)]),
  ceil: (r) => r.one([r.f32("x", width)]),
  round: (r) => r.one([r.f32("x", width)]),
  sqrt: (r) => r.one([r.f32("x", width)]),
  exp: (r) => r.one([r.f32("x", width)]),
  log: (r) => r.one([r.f32("x", width)]),
  sin: (r) => r.one([r.f32("x", width)]),
  cos: (r) => r.one([r.f32("x", width)]),
  tan: (r) => r.one([r.f32("x", width)]),
  asin: (r) => r.one([r.f32("x", width)]),
  acos: (r) => r.one([r.f32("x", width)]),
  atan: (r) => r.one([r.f32("x", width)]),
  tanh: (r) => r.one([r.f32("x", width)]),
  erf: (r) => r.one([r.f32("x", width)]),
  sigmoid: (r) => r.one([r.f32("x", width)]),
  power: (r) => r.one([r.f32("x", width), r.f32("z", width)]),
  modulo: (r) => r.one([r.f32("x", width), r.f32("z", width)]),
  minimum: (r) => r.one([r.f32("x", width), r.f32("z", width)]),
  maximum: (r) => r.one([r.f32("x", width), r.f32("z", width)]),
  equal: (r) => r.one([r.f32("x", width), r.f32("z", width)]),
  not_equal: (r) => r.one([r.f32("x", width), r.f32("z", width)]),
  less: (r) => r.one([r.f32("x", width), r.f32("z", width)]),
  less_equal: (r) => r.one([r.f32("x", width), r.f32("z", width)]),
  reduce_sum: (r) => r.one([r.f32("x", width)], { axes: 1 }),
  reduce_product: (r) => r.one([r.f32("x", width)], { axes: 1 }),
  reduce_max: (r) => r.one([r.f32("x", width)], { axes: 1 }),
  reduce_min: (r) => r.one([r.f32("x", width)], { axes: 1 }),
  select: (r) => {
    const [x, z] = [r.f32("x", width), r.f32("z", width)];
    r.one([r.graph.one("less", [x, z]), x, z]);
  },
  arg_max: (r) => r.one([r.f32("x", width)]),
  arg_min: (r) => r.one([r.f32("x", width)]),
  cumulative_sum: (r) => r.one([r.f32("x", width)]),
  take: (r) => r.one([r.fixed("x", 9, width), r.ids("rows")]),
  scatter_add: (r) => r.one([r.fixed("base", 9, width), r.ids("rows"), r.f32("x", width)]),
  place: (r) => {
    const whole = r.graph.output("whole", "f32", [3, width]);
    const attrs = { offset: 1, stride_0: 3, stride_1: 0, stride_2: 0, stride_3: 0, stride_4: 0 };
    r.into([r.fixed("part", 7)], [whole], { ...attrs, stride_5: 0 });
  },
  concat: (r) => r.one([r.f32("x", width), r.f32("z", 3), r.f32("u", width)], { axis: 1 }),
  sort: (r) => {
    const x = r.fixed("x", 3, width);
    r.one([x], { descending: 0 });
  },
  random_uniform: (r) => r.into([r.key()], [r.graph.output("y", "f32", [7, width])]),
  random_normal: (r) => r.into([r.key()], [r.graph.output("y", "f64", [7, width])]),
  elementwise_chain: (r) => {
    const [x, z] = [r.f32("x", width), r.f32("z", width)];
    const on = r.graph;
    const below = on.one("less", [x, z]);
    const y = on.one("select", [below, on.one("tanh", [on.one("mul", [x, z])]), z]);
    const chain = chainOf(on.nodes.splice(0))!;
    r.into(chain.inputs, [on.output("y", "f32", y.dims)], chain.attrs);
  },
};

/** Ops whose last output is room to work in, and nothing to compare. */
const withWork: readonly OpName[] = ["qr", "svd", "eigh"];

class Recording {
  readonly graph = new Graph();
  readonly inputs: Record<string, ArrayBufferView> = {};

  constructor(
    readonly op: OpName,
    readonly rows: Sym,
  ) {}

  /** The op's outputs, each in an output or state of its own. */
  one(operands: Value[], attrs: Record<string, number | string | boolean> = {}): void {
    this.into(operands, [], attrs);
  }

  into(operands: Value[], given: (Value | undefined)[], attrs = {}): void {
    const { graph, op } = this;
    const made = graph.apply(op, operands, { attrs, into: given });
    const results = withWork.includes(op) ? made.slice(0, -1) : made;
    results.forEach((value, index) => {
      if (value.storage.kind !== "arena") return;
      graph.one("copy", [value], { into: [graph.output(`y${index}`, value.dtype, value.dims)] });
    });
  }

  input(
    name: string,
    dtype: "i8" | "u8" | "i16" | "i32" | "u32" | "f32",
    dims: (Dim | Sym)[],
  ): Value {
    const value = this.graph.input(name, dtype, dims);
    const bytes = new Uint8Array(value.storage.size);
    for (let at = 0; at < bytes.length; at += 1) bytes[at] = at * 37 + 11;
    if (dtype === "i32" || dtype === "u32") bytes.fill(0);
    this.inputs[name] = dtype === "f32" ? normals(bytes.length / 4, bytes.length) : bytes;
    return value;
  }

  key(): Value {
    return this.input("key", "u32", [4]);
  }

  f32(name: string, columns: number): Value {
    return this.input(name, "f32", [this.rows, columns]);
  }

  fixed(name: string, ...dims: number[]): Value {
    return this.input(name, "f32", dims);
  }

  /** A batch of diagonally dominant matrices of six rows, one a row of the case. */
  matrices(name = "a", columns = 6): Value {
    const value = this.graph.input(name, "f32", [this.rows, 6, columns]);
    this.inputs[name] = normals(rowsMax * 6 * columns, 3).map((x, index) =>
      (index % (6 * columns)) % (columns + 1) === 0 ? 9 : x,
    );
    return value;
  }

  i8(name: string, columns: number): Value {
    return this.input(name, "i8", [this.rows, columns]);
  }

  scale(): Value {
    return this.input("a", "f32", [this.rows]);
  }

  ids(name: string): Value {
    const value = this.input(name, "i32", [this.rows]);
    this.inputs[name] = Int32Array.from({ length: rowsMax }, (_, row) => row);
    return value;
  }

  probabilities(): Value {
    const value = this.f32("probs", width);
    this.inputs.probs = new Float32Array(rowsMax * width).fill(1 / width);
    return value;
  }

  state(name: string, columns: number): Value {
    const storage = this.graph.state(name, 4 * rowsMax * columns);
    return this.graph.stateValue(storage, { dtype: "i32", dims: [dimOf(this.rows), columns] });
  }

  places(): Value[] {
    return [
      this.ids("positions"),
      this.input("sequences", "i32", [this.rows]),
      this.input("pages", "i32", [1, pages]),
    ];
  }

  cache(): [Value, Value] {
    const size = pages * groups * width * pagePositions * 2;
    const state = this.graph.state("cache", 2 * size);
    return [
      this.graph.stateValue(state, { dtype: "f16", dims: [pages, groups, width, pagePositions] }),
      this.graph.stateValue(state, {
        dtype: "f16",
        dims: [pages, groups, pagePositions, width],
        offset: size,
      }),
    ];
  }

  /** Parameters, history and its lengths. */
  drawing(): Value[] {
    return [
      this.f32("params", samplingColumns),
      this.input("history", "i32", [this.rows, 3]),
      this.input("lengths", "i32", [this.rows]),
    ];
  }

  /** Divisors, centres and spreads of the head's rows. */
  head(): Value[] {
    return ["wa", "centre", "spread"].map((name) => this.fixed(name, outputs));
  }

  planes(): [Value, Value] {
    return [this.packed("nibble4", "high"), this.packed("nibble4", "low")];
  }

  packed(layout: "tile2" | "tile3" | "hf_ternary" | "nibble4", name = "packed"): Value {
    const storage = this.graph.state(name, 4096);
    return this.graph.packedState(storage, layout, [outputs, width]);
  }

  /** A constant with row scales; its region is as long-lived as the graph. */
  ternary(): Value {
    const region = Region.create(2 * 2 * 128 + outputs * 4);
    region.bytes(0, 512).fill(0x55);
    const rowScale = {
      region,
      offset: 512,
      dtype: "f32",
      layout: "strided",
      shape: [outputs],
    } as const;
    const shape = [outputs, width];
    return this.graph.constant({
      region,
      offset: 0,
      dtype: "i8",
      layout: "tile2",
      shape,
      rowScale,
    });
  }
}

/** All ops, each recorded for up to `rowsMax` rows. */
export function everyOp(): Map<OpName, OpCase> {
  const cases = new Map<OpName, OpCase>();
  for (const op of Object.keys(recorders) as OpName[]) {
    const recording = new Recording(op, new Sym("rows", rowsMax, 0));
    recorders[op](recording);
    cases.set(op, { graph: recording.graph, inputs: recording.inputs });
  }
  return cases;
}
