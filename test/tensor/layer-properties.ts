/**
 * Properties of the ops behind layers and packed tensors, and where the ops are tested that only
 * models, the engine and decompositions record.
 */
import type { OpName } from "../../src/native/index.ts";
import {
  bitLinear,
  gated,
  rmsNorm,
  rope,
  type TernaryPacking,
  tensor,
} from "../../src/tensor/index.ts";
import { type Draw, type Drawn, roundHalfEven, stored } from "./drawn.ts";
import { expectPlain } from "./expect-plain.ts";
import { flatOf, made, type Plain } from "./plain.ts";
import type { Elsewhere, Property } from "./properties.ts";

/** A matrix of floats drawn between -3 and 3. */
function matrix(draw: Draw, rows: number, columns: number): Drawn {
  return draw.tensor([rows, columns], { range: [-3, 3] });
}

function result(draw: Draw): "f32" | typeof draw.dtype {
  return draw.isFloat ? draw.dtype : "f32";
}

const sum = (list: readonly number[]): number => list.reduce((all, one) => all + one, 0);

function row({ shape, data }: Plain, index: number): number[] {
  const width = shape.at(-1)!;
  return data.slice(index * width, (index + 1) * width).map(Number);
}

const softmax: Property = (draw) => {
  const shape = draw.shape(1);
  const { x, p } = draw.tensor(shape);
  const axis = draw.dice.whole(0, shape.length - 1);
  const want = made(shape, (index) => {
    const list = Array.from({ length: shape[axis]! }, (_, at) =>
      Number(p.data[flatOf(shape, index.with(axis, at))]),
    );
    const most = Math.max(...list);
    const shares = list.map((one) => Math.exp(one - most));
    return shares[index[axis]!]! / sum(shares);
  });
  expectPlain(x.softmax(axis), want, { dtype: result(draw), units: 10 });
};

const rms: Property = (draw) => {
  const [rows, width] = [draw.dice.whole(0, 4), draw.dice.whole(1, 40)];
  const [x, gamma] = [matrix(draw, rows, width), draw.tensor([width], { range: [-2, 2] })];
  const want = made([rows, width], ([index, at]) => {
    const list = row(x.p, index!);
    const square = sum(list.map((one) => one * one)) / width;
    return (list[at!]! / Math.sqrt(square + 1e-3)) * Number(gamma.p.data[at!]);
  });
  const got = rmsNorm(x.x, gamma.x, { eps: 1e-3 });
  expectPlain(got, want, { dtype: result(draw), units: 20 });
};

const turning: Property = (draw) => {
  const [rows, heads, half] = [draw.dice.whole(0, 4), draw.dice.whole(1, 3), draw.dice.whole(1, 9)];
  const shape = [rows, heads, 2 * half];
  const { x, p } = draw.tensor(shape, { range: [-3, 3] });
  const positions = Int32Array.from({ length: rows }, () => draw.dice.whole(0, 500));
  const interleaved = draw.dice.whole(0, 1) === 1;
  const want = made(shape, ([index, head, at]) => {
    const pair = interleaved ? at! >> 1 : at! % half;
    const isFirst = interleaved ? at! % 2 === 0 : at! < half;
    const [first, second] = interleaved ? [2 * pair, 2 * pair + 1] : [pair, half + pair];
    const angle = Math.fround(positions[index!]! * Math.fround(100 ** (-pair / half)));
    const of = (one: number): number => Number(p.data[flatOf(shape, [index!, head!, one])]);
    return isFirst
      ? of(first!) * Math.cos(angle) - of(second!) * Math.sin(angle)
      : of(second!) * Math.cos(angle) + of(first!) * Math.sin(angle);
  });
  const got = rope(x, tensor(positions), { theta: 100, interleaved });
  // Angles of hundreds in f32 leave this much of them open.
  expectPlain(got, want, { dtype: result(draw), units: draw.dtype === "f64" ? 3e10 : 300 });
};

const gates: Property = (draw) => {
  const [rows, half] = [draw.dice.whole(0, 4), draw.dice.whole(1, 20)];
  const { x, p } = matrix(draw, rows, 2 * half);
  const activation = draw.dice.pick(["silu", "relu2"] as const);
  const want = made([rows, half], ([index, at]) => {
    const list = row(p, index!);
    const gate = list[at!]!;
    const f = activation === "silu" ? gate / (1 + Math.exp(-gate)) : Math.max(0, gate) ** 2;
    return f * list[half + at!]!;
  });
  expectPlain(gated(x, activation), want, { dtype: result(draw), units: 4 });
};

interface Ternary {
  codes: number[];
  scale: number;
}

/** Absmean in f32 of weights as they are stored. */
function ternaryOf(p: Plain): Ternary {
  const w = p.data.map((one) => Math.fround(Number(one)));
  const scale = Math.fround(Math.max(sum(w.map(Math.abs)) / w.length, 1e-5));
  const inverse = Math.fround(1 / scale);
  const codes = w.map((one) => {
    return Math.min(1, Math.max(-1, roundHalfEven(Math.fround(one * inverse))));
  });
  return { codes, scale };
}

/** Packs a matrix of floats into a packing, and takes it apart again. */
function packing(...choices: TernaryPacking[]): Property {
  return (draw) => {
    if (!draw.isFloat) return;
    const layout = draw.dice.pick(choices);
    const blocks = layout.startsWith("t") && layout.includes("q") ? 256 : 1;
    const rows = layout.startsWith("i2") ? 128 : draw.dice.whole(1, 70);
    const columns = blocks > 1 ? 256 * draw.dice.whole(1, 2) : draw.dice.whole(1, 50);
    const { x, p } = matrix(draw, blocks > 1 ? Math.min(rows, 5) : rows, columns);
    const { codes, scale } = ternaryOf(p);
    const packed = x.to("ternary", { packing: layout });
    expectPlain(packed.to("i8"), { shape: p.shape, data: codes }, { dtype: "i8" });
    const data = codes.map((code) => code * scale);
    expectPlain(packed.to("f32"), { shape: p.shape, data }, { dtype: "f32", units: 1 });
  };
}

/** The product of quantized rows and ternary weights, summed as integers. */
function linear(normed: boolean): Property {
  return (draw) => {
    const [rows, inputs] = [draw.dice.whole(0, 5), draw.dice.whole(1, 70)];
    const outputs = draw.dice.whole(1, 40);
    // Halves of the largest keep away from the edges of rounding.
    const x = draw.tensor([rows, inputs], { range: [-3, 3], dtype: "f32" });
    const w = draw.tensor([outputs, inputs], { range: [-3, 3], dtype: "f32" });
    const { codes, scale } = ternaryOf(w.p);
    const unit = tensor(new Float32Array(inputs).fill(1));
    const source = normed ? rmsNorm(x.x, unit) : x.x;
    const given = normed ? source.toArray() : x.x.toArray();
    const lists = given as number[][];
    const want = made([rows, outputs], ([index, output]) => {
      const list = lists[index!]!;
      const a = Math.fround(127 / Math.max(...list.map(Math.abs), Math.fround(1e-5)));
      const q = list.map((one) => {
        return Math.min(127, Math.max(-128, roundHalfEven(Math.fround(one * a))));
      });
      const weights = codes.slice(output! * inputs, (output! + 1) * inputs);
      return (sum(q.map((one, at) => one * weights[at]!)) * scale) / a;
    });
    const target = draw.dice.pick(["tile2", "tile3", "hf_ternary"] as const);
    // The norm is computed anew where it is quantized with it: one instruction.
    const operand = normed ? rmsNorm(x.x, unit) : x.x;
    const got = bitLinear(operand, w.x.to("ternary", { packing: target }));
    expectPlain(got, want, { dtype: "f32", units: 8 });
  };
}

const nibbles: Property = (draw) => {
  const { x, p } = draw.tensor(draw.shape());
  const data = p.data.map((one) => Math.min(7, Math.max(-8, stored(Number(one), "i32"))));
  const packed = x.to("i4");
  expectPlain(packed.to("i8"), { shape: p.shape, data }, { dtype: "i8" });
};

function elsewhere(file: string): Elsewhere {
  return { file };
}

const engine = elsewhere("generate/sampling-kernels.test.ts");
const head = elsewhere("graph/head-kernels.test.ts");
const random = elsewhere("tensor/creation.test.ts");

export const layerProperties = {
  softmax,
  rms_norm: rms,
  rope: turning,
  rope_angles: turning,
  gated_activation: gates,
  abs_stats: packing("tile2"),
  ternarize: packing("tile2"),
  pack_tile2: packing("tile2"),
  pack_tile3: packing("tile3"),
  pack_ternary: packing("hf_ternary", "tq1_0", "tq2_0", "i2_s_128", "i2_s_64"),
  unpack_ternary: packing("tile2", "tile3", "hf_ternary", "tq1_0"),
  quantize_rows: linear(false),
  ternary_matmul: linear(false),
  rms_norm_quantize: linear(true),
  convert: nibbles,
  embedding: elsewhere("graph/weight-kernels.test.ts"),
  gather_rows: elsewhere("graph/elementwise-kernels.test.ts"),
  dense_matmul: elsewhere("graph/matmul-kernels.test.ts"),
  int8_matmul: elsewhere("graph/matmul-kernels.test.ts"),
  unpack_packed: elsewhere("graph/packing-kernels.test.ts"),
  quantize_nibbles: head,
  head_screen: head,
  head_refine: head,
  kv_write: elsewhere("graph/attention-kernels.test.ts"),
  attention: elsewhere("graph/attention-kernels.test.ts"),
  sampling_probs: engine,
  sample: engine,
  emit: engine,
  stop_when: engine,
  random_uniform: random,
  random_normal: random,
  elementwise_chain: elsewhere("graph/elementwise-chain.test.ts"),
  cholesky: elsewhere("linalg/factor.test.ts"),
  lu: elsewhere("linalg/factor.test.ts"),
  qr: elsewhere("linalg/factor.test.ts"),
  svd: elsewhere("linalg/factor.test.ts"),
  eigh: elsewhere("linalg/factor.test.ts"),
  solve: elsewhere("linalg/solve.test.ts"),
  triangular_solve: elsewhere("linalg/solve.test.ts"),
} satisfies Partial<Record<OpName, Property | Elsewhere>>;
