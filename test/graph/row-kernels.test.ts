/** softmax, rms_norm, quantize_rows, rms_norm_quantize and gated_activation as Programs. */
import { describe, expect, test } from "bun:test";
import { Graph, type Value } from "../../src/graph/index.ts";
import { everywhere, floats } from "./everywhere.ts";
import {
  activations,
  normals,
  quantizeRow,
  rmsNorm,
  rowOf,
  softmax,
  worstError,
} from "./reference.ts";

/** Around a vector of sixteen lanes, a span of 512 and a piece of 4096. */
const widths = [1, 6, 15, 16, 17, 24, 112, 511, 513, 4097];
const rows = 5;
/** Columns of the wider rows that x is a slice of, before and behind it. */
const margin = 7;

interface Rows {
  graph: Graph;
  x: Value;
  content: Float32Array;
  row: (index: number) => Float32Array;
}

/** Rows as a slice of wider ones, the input "x". */
function slicedRows(width: number): Rows {
  const graph = new Graph();
  const stride = width + 2 * margin;
  const content = normals(rows * stride, width, 2);
  const x = graph.input("x", "f32", [rows, stride]).slice(1, margin, width);
  const row = (index: number) => rowOf(content, index, { width, stride, start: margin });
  return { graph, x, content, row };
}

function eachRow(make: (index: number) => ArrayLike<number>): number[] {
  return Array.from({ length: rows }, (_, index) => Array.from(make(index))).flat();
}

describe("softmax", () => {
  test("rows sum to 1 within 1e-6 of the definition in f64", async () => {
    for (const width of widths) {
      const { graph, x, content, row } = slicedRows(width);
      graph.one("softmax", [x], { into: [graph.output("y", "f32", [rows, width])] });
      const got = floats((await everywhere(graph, { inputs: { x: content } })).y!);
      const want = eachRow((index) => softmax(row(index)));
      expect(worstError(got, want)).toBeLessThan(1e-6);
      for (let index = 0; index < rows; index += 1) {
        const sum = rowOf(got, index, { width }).reduce((a, b) => a + b, 0);
        expect(Math.abs(sum - 1)).toBeLessThan(1e-5);
      }
    }
  });

  test("huge values and masked ones leave finite shares", async () => {
    const graph = new Graph();
    const x = graph.input("x", "f32", [2, 3]);
    graph.one("softmax", [x], { into: [graph.output("y", "f32", [2, 3])] });
    const masked = Number.NEGATIVE_INFINITY;
    const content = Float32Array.of(3e38, 3e38, -3e38, masked, 5, masked);
    const { y } = await everywhere(graph, { inputs: { x: content } });
    expect([...floats(y!)]).toEqual([0.5, 0.5, 0, 0, 1, 0]);
  });
});

describe("rms_norm", () => {
  test("equals the definition in f64 to 1e-6", async () => {
    for (const width of widths) {
      for (const eps of [1e-6, 1e-5]) {
        const { graph, x, content, row } = slicedRows(width);
        const gamma = normals(width, 3);
        const operands = [x, graph.input("gamma", "f32", [width])];
        const into = [graph.output("y", "f32", [rows, width])];
        graph.one("rms_norm", operands, { attrs: { eps }, into });
        const { y } = await everywhere(graph, { inputs: { x: content, gamma } });
        const want = eachRow((index) => rmsNorm(row(index), gamma, Math.fround(eps)));
        expect(worstError(floats(y!), want)).toBeLessThan(1e-6);
      }
    }
  });

  test("a row of zeros stays zeros, and a tiny one is ruled by eps", async () => {
    const graph = new Graph();
    const operands = [graph.input("x", "f32", [2, 8]), graph.input("gamma", "f32", [8])];
    const into = [graph.output("y", "f32", [2, 8])];
    graph.one("rms_norm", operands, { attrs: { eps: 1e-5 }, into });
    const x = new Float32Array(16).fill(1e-12, 8);
    const { y } = await everywhere(graph, { inputs: { x, gamma: new Float32Array(8).fill(2) } });
    const tiny = Math.fround(2 * 1e-12) / Math.sqrt(1e-5);
    expect(floats(y!).subarray(0, 8)).toEqual(new Float32Array(8));
    expect(Math.abs(floats(y!)[9]! / tiny - 1)).toBeLessThan(1e-6);
  });
});

describe("quantize_rows", () => {
  for (const [levels, dtype] of [
    [127, "i8"],
    [1, "i8"],
    [128, "i16"],
    [6553, "i16"],
    [32_767, "i16"],
  ] as const) {
    test(`${levels} levels in ${dtype}: codes and scales are exact`, async () => {
      for (const width of widths) {
        const { graph, x, content, row } = slicedRows(width);
        row(1).fill(0);
        row(2).fill(3e-6);
        const q = graph.output("q", dtype, [rows, width]);
        const a = graph.output("a", "f32", [rows]);
        graph.apply("quantize_rows", [x], { attrs: { levels }, into: [q, a] });
        const got = await everywhere(graph, { inputs: { x: content } });
        const want = Array.from({ length: rows }, (_, index) => quantizeRow(row(index), levels));
        const codes = dtype === "i8" ? new Int8Array(got.q!.buffer) : new Int16Array(got.q!.buffer);
        expect([...codes]).toEqual(want.flatMap((one) => one.q));
        expect([...floats(got.a!)]).toEqual(want.map((one) => one.a));
      }
    });
  }

  test("halves go to the even code", async () => {
    const graph = new Graph();
    const q = graph.output("q", "i8", [1, 8]);
    const operand = graph.input("x", "f32", [1, 8]);
    const into = [q, graph.output("a", "f32", [1])];
    graph.apply("quantize_rows", [operand], { attrs: { levels: 127 }, into });
    const x = Float32Array.of(127, 0.5, 1.5, 2.5, -0.5, -1.5, -126.5, 126.5);
    const got = await everywhere(graph, { inputs: { x } });
    expect([...new Int8Array(got.q!.buffer)]).toEqual([127, 0, 2, 2, 0, -2, -126, 126]);
  });
});

test("rms_norm_quantize: the same bits as rms_norm and then quantize_rows", async () => {
  for (const width of widths) {
    const { graph, x, content } = slicedRows(width);
    const gamma = graph.input("gamma", "f32", [width]);
    const attrs = { eps: 1e-5 };
    const outputs = (name: string) => [
      graph.output(`q ${name}`, "i8", [rows, width]),
      graph.output(`a ${name}`, "f32", [rows]),
    ];
    graph.apply("rms_norm_quantize", [x, gamma], { attrs, into: outputs("fused") });
    const normed = graph.one("rms_norm", [x, gamma], { attrs });
    graph.apply("quantize_rows", [normed], { attrs: { levels: 127 }, into: outputs("plain") });
    const inputs = { x: content, gamma: normals(width, 4) };
    const got = await everywhere(graph, { inputs });
    expect(got["q fused"]).toEqual(got["q plain"]!);
    expect(got["a fused"]).toEqual(got["a plain"]!);
  }
});

describe("gated_activation", () => {
  for (const activation of ["relu2", "silu"] as const) {
    test(`${activation}: equals the definition in f64 to 1e-6, gate and up in one buffer`, async () => {
      for (const width of widths) {
        const graph = new Graph();
        const both = graph.input("both", "f32", [rows, 2 * width]);
        const parts = [both.slice(1, 0, width), both.slice(1, width, width)];
        const into = [graph.output("y", "f32", [rows, width])];
        graph.one("gated_activation", parts, { attrs: { activation }, into });
        const content = normals(2 * rows * width, width, 3);
        const { y } = await everywhere(graph, { inputs: { both: content } });
        const want = eachRow((index) => {
          const gate = rowOf(content, index, { width, stride: 2 * width });
          const up = rowOf(content, index, { width, stride: 2 * width, start: width });
          return gate.map((value, i) => activations[activation](value) * up[i]!);
        });
        expect(worstError(floats(y!), want)).toBeLessThan(1e-6);
      }
    });
  }

  test("silu of large negatives is 0 and of large positives the value itself", async () => {
    const graph = new Graph();
    const operands = [graph.input("gate", "f32", [1, 4]), graph.input("up", "f32", [1, 4])];
    const into = [graph.output("y", "f32", [1, 4])];
    graph.one("gated_activation", operands, { attrs: { activation: "silu" }, into });
    const inputs = { gate: Float32Array.of(-200, 200, -1e30, 0), up: Float32Array.of(1, 1, 1, 1) };
    const { y } = await everywhere(graph, { inputs });
    expect([...floats(y!)].map(Math.abs)).toEqual([0, 200, 0, 0]);
  });
});
