/** ternary_matmul, int8_matmul and dense_matmul as Programs, on shapes around their tiles. */
import { describe, expect, test } from "bun:test";
import { Graph, type TernaryLayout, type Value, type Weight } from "../../src/graph/index.ts";
import { Region } from "../../src/native/index.ts";
import { packNibble4, packTile2, packTile3 } from "../../src/quant/index.ts";
import { everywhere, floats, regionOf, regionsOf } from "./everywhere.ts";
import {
  dot,
  fromBf16,
  int8Row,
  integers,
  normals,
  rowOf,
  ternaryRow,
  toBf16,
  toF16,
  worstError,
} from "./reference.ts";

const packers = { tile2: packTile2, tile3: packTile3 };

interface TernaryShape {
  tokens: number;
  outputs: number;
  inputs: number;
  bias?: boolean;
  residual?: boolean;
  /** Every activation, with weights of 1: the largest sums there can be. */
  extreme?: number;
}

/** Runs one product in each packing, with a sliced q, residual and y, and compares bit for bit. */
async function checkTernary(shape: TernaryShape): Promise<void> {
  await checkPacking("tile2", shape);
  await checkPacking("tile3", shape);
}

async function checkPacking(packing: TernaryLayout, shape: TernaryShape): Promise<void> {
  const { tokens, outputs, inputs, bias = false, residual = false, extreme } = shape;
  const graph = new Graph();
  const codes = integers(outputs * inputs, outputs + inputs, extreme ? [1, 1] : [-1, 1]);
  using weights = regionOf(packers[packing](Int8Array.from(codes), outputs, inputs));
  const rowScale = normals(outputs, 2, 0.02);
  using scales = regionOf(rowScale, 4);
  const scale: Weight = {
    region: scales,
    offset: 4,
    dtype: "f32",
    layout: "strided",
    shape: [outputs],
  };
  const w = graph.constant({
    region: weights,
    offset: 0,
    dtype: "i8",
    layout: packing,
    shape: [outputs, inputs],
    rowScale: scale,
  });
  const wide = inputs + 3;
  const q = graph.input("q", "i8", [tokens, wide]).slice(1, 2, inputs);
  const operands: Value[] = [q, graph.input("a", "f32", [tokens]), w];
  if (bias) operands.push(graph.input("bias", "f32", [outputs]));
  if (residual) operands.push(graph.input("residual", "f32", [tokens, outputs]));
  const y = graph.output("y", "f32", [tokens, outputs + 5]).slice(1, 1, outputs);
  const attrs = { has_bias: bias, has_residual: residual };
  graph.one("ternary_matmul", operands, { attrs, into: [y] });

  const content = {
    q: Int8Array.from(integers(tokens * wide, 7, extreme ? [extreme, extreme] : [-128, 127])),
    a: normals(tokens, 8).map((value) => 30 + Math.abs(value)),
    ...(bias && { bias: normals(outputs, 9) }),
    ...(residual && { residual: normals(tokens * outputs, 10) }),
  };
  const got = floats((await everywhere(graph, { inputs: content })).y!);
  for (let token = 0; token < tokens; token += 1) {
    const want = ternaryRow({
      q: content.q.subarray(token * wide + 2, token * wide + 2 + inputs),
      a: content.a[token]!,
      weights: codes,
      rowScale,
      bias: content.bias,
      residual: content.residual && rowOf(content.residual, token, { width: outputs }),
    });
    const row = rowOf(got, token, { width: outputs, stride: outputs + 5, start: 1 });
    if (row.some((value, n) => value !== want[n])) {
      throw new Error(
        `${packing} ${JSON.stringify(shape)}: token ${token} differs from the definition`,
      );
    }
  }
}

describe("ternary_matmul", () => {
  test("one token and few: every number of outputs and inputs around a tile is exact", async () => {
    for (const outputs of [1, 16, 31, 32, 33, 112]) {
      for (const inputs of [1, 4, 15, 16, 17, 19, 20, 21, 112, 130]) {
        for (const tokens of [1, 2]) await checkTernary({ tokens, outputs, inputs });
      }
    }
  }, 30_000);

  test("a model's widths, and a width over a panel of many tokens, are exact", async () => {
    for (const tokens of [1, 3, 13]) {
      for (const inputs of [2560, 4099, 6912]) await checkTernary({ tokens, outputs: 33, inputs });
    }
  });

  test("over a megabyte of weights, of which workers claim pieces, is exact", async () => {
    await checkTernary({ tokens: 1, outputs: 2100, inputs: 2560 });
  });

  test("many tokens: every number around the tiles of tokens is exact", async () => {
    for (const tokens of [3, 4, 5, 8, 9, 12, 13, 16, 17, 24, 25, 40, 65]) {
      await checkTernary({ tokens, outputs: 49, inputs: 112 });
    }
    await checkTernary({ tokens: 33, outputs: 64, inputs: 640 });
  });

  test("bias and residual are added after scaling, in this order", async () => {
    for (const tokens of [1, 6, 13]) {
      for (const inputs of [33, 64]) {
        await checkTernary({ tokens, outputs: 40, inputs, bias: true });
        await checkTernary({ tokens, outputs: 40, inputs, residual: true });
        await checkTernary({ tokens, outputs: 40, inputs, bias: true, residual: true });
      }
    }
  });

  test("long rows of extreme activations keep exact sums", async () => {
    for (const tokens of [1, 2, 4, 9]) {
      for (const extreme of [-128, -127, 127]) {
        await checkTernary({ tokens, outputs: 33, inputs: 9001, extreme });
      }
    }
  });
});

test("int8_matmul: codes of 16 and 8 bits give exact sums, on ragged shapes and slices", async () => {
  for (const [tokens, outputs, inputs] of [
    [1, 1, 1],
    [1, 33, 24],
    [2, 7, 63],
    [3, 64, 64],
    [4, 5, 65],
    [5, 112, 112],
    [7, 19, 257],
    [9, 3, 2560],
  ] as const) {
    const graph = new Graph();
    const x = graph.input("x", "i16", [tokens, inputs + 1]).slice(1, 1, inputs);
    const codes = Int8Array.from(integers(outputs * inputs, 2, [-128, 127]));
    const { high, low } = packNibble4(codes, outputs, inputs);
    using planes = regionsOf(high, low);
    const weights = planes.all.map((region) =>
      graph.constant({
        region,
        offset: 0,
        dtype: "u8",
        layout: "nibble4",
        shape: [outputs, inputs],
      }),
    );
    const a = graph.input("a", "f32", [tokens]);
    const wa = graph.input("wa", "f32", [outputs]);
    const y = graph.output("y", "f32", [tokens, outputs]);
    graph.one("int8_matmul", [x, a, ...weights, wa], { into: [y] });
    const limit = Math.min(32_639, Math.floor(2 ** 31 / (128 * inputs)) - 1);
    const content = {
      x: Int16Array.from(integers(tokens * (inputs + 1), 1, [-limit, limit])),
      a: normals(tokens, 3).map((value) => 300 + value),
      wa: normals(outputs, 4).map((value) => 77 + value),
    };
    const got = floats((await everywhere(graph, { inputs: content })).y!);
    for (let token = 0; token < tokens; token += 1) {
      const start = token * (inputs + 1) + 1;
      const row = { x: content.x.subarray(start, start + inputs), a: content.a[token]! };
      const want = int8Row(row, { w: codes, wa: content.wa });
      expect(rowOf(got, token, { width: outputs })).toEqual(want);
    }
  }
});

interface DenseShape {
  tokens: number;
  outputs: number;
  inputs: number;
}

const floatKinds = {
  f32: { store: (w: Float32Array) => w, load: (w: Float32Array) => w, size: 4 },
  f16: { store: toF16, load: (w: Float32Array) => Float32Array.from(toF16(w)), size: 2 },
  bf16: { store: toBf16, load: (w: Float32Array) => fromBf16(toBf16(w)), size: 2 },
};

describe("dense_matmul", () => {
  for (const [dtype, kind] of Object.entries(floatKinds)) {
    /** Weights lie at an odd offset: in a mapped file nothing is aligned. */
    async function product(shape: DenseShape, offset: number): Promise<Float32Array> {
      const { tokens, outputs, inputs } = shape;
      const graph = new Graph();
      const w = normals(outputs * inputs, 1);
      using region = regionOf(kind.store(w), offset);
      const weight = graph.constant({
        region,
        offset,
        dtype: dtype as keyof typeof floatKinds,
        layout: "strided",
        shape: [outputs, inputs],
      });
      const x = graph.input("x", "f32", [tokens, inputs + 2]).slice(1, 1, inputs);
      const operands = [x, weight, graph.input("bias", "f32", [outputs])];
      const into = [graph.output("y", "f32", [tokens, outputs])];
      graph.one("dense_matmul", operands, { attrs: { has_bias: 1 }, into });
      const content = { x: normals(tokens * (inputs + 2), 2), bias: normals(outputs, 3) };
      const got = floats((await everywhere(graph, { inputs: content })).y!);
      const exact = kind.load(w);
      for (let token = 0; token < tokens; token += 1) {
        const row = rowOf(content.x, token, { width: inputs, stride: inputs + 2, start: 1 });
        const want = [...content.bias].map(
          (bias, n) => bias + dot(row, rowOf(exact, n, { width: inputs })),
        );
        const error = worstError(rowOf(got, token, { width: outputs }), want);
        // Rounding of a sum of `inputs` products of size 1, which grows as its square root.
        expect(error).toBeLessThan(2e-7 * Math.max(8, inputs));
      }
      return got;
    }

    test(`${dtype}: every shape around the tiles, at any alignment`, async () => {
      for (const [tokens, outputs, inputs] of [
        [1, 1, 1],
        [1, 33, 24],
        [2, 31, 80],
        [3, 32, 16],
        [4, 5, 17],
        [5, 33, 112],
        [8, 7, 513],
        [66, 35, 48],
      ] as const) {
        await product({ tokens, outputs, inputs }, 0);
        await product({ tokens, outputs, inputs }, 3);
      }
    });

    test(`${dtype}: a token's result does not depend on the others of its batch`, async () => {
      const [outputs, inputs] = [40, 144];
      const graph = new Graph();
      using region = regionOf(kind.store(normals(outputs * inputs, 1)));
      const weight = graph.constant({
        region,
        offset: 0,
        dtype: dtype as keyof typeof floatKinds,
        layout: "strided",
        shape: [outputs, inputs],
      });
      const x = graph.input("x", "f32", [7, inputs]);
      const attrs = { has_bias: 0 };
      const all = graph.output("all", "f32", [7, outputs]);
      graph.one("dense_matmul", [x, weight], { attrs, into: [all] });
      const each = graph.output("each", "f32", [7, outputs]);
      for (let token = 0; token < 7; token += 1) {
        const into = [each.slice(0, token, 1)];
        graph.one("dense_matmul", [x.slice(0, token, 1), weight], { attrs, into });
      }
      const got = await everywhere(graph, { inputs: { x: normals(7 * inputs, 5) } });
      expect(got.each).toEqual(got.all!);
    });
  }
});

test("the core refuses a packed matrix whose tiles lie between the vectors", async () => {
  using region = Region.create(4096);
  const rowScale: Weight = { region, offset: 0, dtype: "f32", layout: "strided", shape: [32] };
  const weight: Weight = {
    region,
    offset: 1024 + 32,
    dtype: "i8",
    layout: "tile2",
    shape: [32, 16],
    rowScale,
  };
  const graph = new Graph();
  const operands = [graph.input("q", "i8", [1, 16]), graph.input("a", "f32", [1])];
  const into = [graph.output("y", "f32", [1, 32])];
  const attrs = { has_bias: 0, has_residual: 0 };
  graph.one("ternary_matmul", [...operands, graph.constant(weight)], { attrs, into });
  await expect(everywhere(graph)).rejects.toMatchObject({ code: "native/invalid-program" });
});
