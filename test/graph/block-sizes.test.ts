/**
 * The sizes of the blocks that products are cut into change speed alone: every size that can be
 * set gives the bits of the default, on every level and any number of threads.
 */
import { afterEach, expect, test } from "bun:test";
import { Graph } from "../../src/graph/index.ts";
import { type BlockSizes, setBlockSizes } from "../../src/native/index.ts";
import { packTile2, packTile3 } from "../../src/quant/index.ts";
import { everywhere, regionOf } from "./everywhere.ts";
import { integers, normals } from "./reference.ts";

afterEach(() => setBlockSizes({}));

/** Ends of the ranges and sizes between, alone and together. */
const ternarySizes: readonly BlockSizes[] = [
  { ternaryColumns: 256 },
  { ternaryColumns: 1000 },
  { ternaryColumns: 8192 },
  { ternarySize: 64 << 10 },
  { ternaryColumns: 256, ternarySize: 64 << 10 },
];

for (const [layout, pack] of [
  ["tile2", packTile2],
  ["tile3", packTile3],
] as const) {
  test(`ternary_matmul of ${layout}: blocks of any size give the same bits`, async () => {
    const tokens = 61;
    const outputs = 70;
    // More than one panel of the smallest, and several pieces of the tokens.
    const inputs = 2117;
    const graph = new Graph();
    using weights = regionOf(
      pack(Int8Array.from(integers(outputs * inputs, 1, [-1, 1])), outputs, inputs),
    );
    using scales = regionOf(normals(outputs, 2, 0.02));
    const scale = { region: scales, offset: 0, dtype: "f32", layout: "strided" } as const;
    const w = graph.constant({
      region: weights,
      offset: 0,
      dtype: "i8",
      layout,
      shape: [outputs, inputs],
      rowScale: { ...scale, shape: [outputs] },
    });
    const operands = [
      graph.input("q", "i8", [tokens, inputs]),
      graph.input("a", "f32", [tokens]),
      w,
    ];
    const into = [graph.output("y", "f32", [tokens, outputs])];
    graph.one("ternary_matmul", operands, { attrs: { has_bias: 0, has_residual: 0 }, into });
    const run = {
      inputs: {
        q: Int8Array.from(integers(tokens * inputs, 3, [-128, 127])),
        a: normals(tokens, 4).map((value) => 30 + Math.abs(value)),
      },
    };
    const want = (await everywhere(graph, run)).y!;
    for (const sizes of ternarySizes) {
      setBlockSizes(sizes);
      expect((await everywhere(graph, run)).y!).toEqual(want);
    }
  });
}

for (const dtype of ["f32", "f64"] as const) {
  test(`matmul of ${dtype}: blocks of any size give the same bits`, async () => {
    const [m, n, k] = [65, 333, 401];
    const array = dtype === "f32" ? Float32Array : Float64Array;
    const graph = new Graph();
    const factors = [graph.input("a", dtype, [m, k]), graph.input("b", dtype, [k, n])];
    graph.one("matmul", factors, { into: [graph.output("c", dtype, [m, n])] });
    const inputs = { a: array.from(normals(m * k, 6)), b: array.from(normals(k * n, 7)) };
    // Levels may differ, as they round apart.
    const run = { inputs, betweenLevels: Number.POSITIVE_INFINITY };
    const want = (await everywhere(graph, run)).c!;
    for (const denseColumns of [32, 33, 100, 128, 65536]) {
      setBlockSizes({ denseColumns });
      expect((await everywhere(graph, run)).c!).toEqual(want);
    }
  });
}

test("sizes out of range are refused, and what was set stays", () => {
  for (const wrong of [
    { ternaryColumns: 255 },
    { ternaryColumns: 8193 },
    { ternarySize: 1 },
    { ternarySize: (2 << 20) + 1 },
    { denseColumns: 31 },
    { denseColumns: 65537 },
  ]) {
    expect(() => setBlockSizes(wrong)).toThrow(
      expect.objectContaining({ code: "native/invalid-argument" }),
    );
  }
});
