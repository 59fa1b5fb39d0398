/** What reads and makes weights: embedding, statistics, quantizing, packing and unpacking. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Graph, Program, packedSize, type Weight } from "../../src/graph/index.ts";
import { type LayoutName, Region } from "../../src/native/index.ts";
import {
  encodeI2_S,
  encodeTq1_0,
  encodeTq2_0,
  packHfTernary,
  packTile2,
  packTile3,
  roundHalfEven,
} from "../../src/quant/index.ts";
import { randomTernary } from "../quant/random-ternary.ts";
import { everywhere, floats, type Results, regionOf } from "./everywhere.ts";
import { fromBf16, normals, rowOf, toBf16, toF16 } from "./reference.ts";

const units = join(import.meta.dir, "../fixtures/units");
const { blocks } = (await Bun.file(join(units, "gguf_blocks.json")).json()) as {
  blocks: { type: string; hex: string; values: number[] }[];
};
const packing = (await Bun.file(join(units, "packing.json")).json()) as {
  hf_packing: { shape: [number, number]; ternary: number[][]; packed: number[][] }[];
  gguf_blocks: {
    values: number;
    scale: number;
    ternary: number[];
    tq1_0_hex: string;
    tq1_0_dequantised_scale: number;
    tq2_0_hex: string;
    tq2_0_dequantised_scale: number;
    i2_s_hex: string;
    i2_s_arm_hex: string;
  }[];
};

const blockLayouts: Partial<Record<string, LayoutName>> = {
  Q8_0: "q8_0",
  Q4_0: "q4_0",
  Q4_K: "q4_k",
  Q6_K: "q6_k",
};

/** Floats as a checkpoint may store them, and what they are. */
const kinds = {
  f32: { store: (w: Float32Array) => w, load: (w: Float32Array) => w },
  f16: { store: toF16, load: (w: Float32Array) => Float32Array.from(toF16(w)) },
  bf16: { store: toBf16, load: (w: Float32Array) => fromBf16(toBf16(w)) },
};
type FloatKind = keyof typeof kinds;
const floatKinds = Object.keys(kinds) as FloatKind[];

describe("embedding", () => {
  test("rows of floats of any alignment come out exactly", async () => {
    for (const dtype of floatKinds) {
      for (const [width, offset] of [
        [1, 0],
        [24, 1],
        [112, 6],
        [17, 3],
      ] as const) {
        const content = normals(9 * width, width);
        using region = regionOf(kinds[dtype].store(content), offset);
        const shape = [9, width];
        const weight: Weight = { region, offset, dtype, layout: "strided", shape };
        const graph = new Graph();
        const y = graph.output("y", "f32", [4, width + 2]).slice(1, 1, width);
        const operands = [graph.input("ids", "i32", [4]), graph.constant(weight)];
        graph.one("embedding", operands, { into: [y] });
        const ids = [8, 0, 5, 5];
        const got = await everywhere(graph, { inputs: { ids: Int32Array.from(ids) } });
        const exact = kinds[dtype].load(content);
        ids.forEach((id, index) => {
          const row = rowOf(floats(got.y!), index, { width, stride: width + 2, start: 1 });
          expect(row).toEqual(rowOf(exact, id, { width }));
        });
      }
    }
  });

  for (const { type, hex, values } of blocks) {
    const layout = blockLayouts[type];
    if (!layout) continue;
    test(`${type} rows equal gguf-py bit for bit`, async () => {
      const bytes = Uint8Array.fromHex(hex);
      // The blocks as one row, and each as a row of its own.
      const perBlock = layout === "q8_0" || layout === "q4_0" ? 32 : 256;
      for (const width of [values.length, perBlock]) {
        const count = values.length / width;
        using region = regionOf(bytes, 2);
        const weight: Weight = { region, offset: 2, dtype: "f32", layout, shape: [count, width] };
        const graph = new Graph();
        const operands = [graph.input("ids", "i32", [count]), graph.constant(weight)];
        graph.one("embedding", operands, { into: [graph.output("y", "f32", [count, width])] });
        const ids = Int32Array.from({ length: count }, (_, id) => id);
        const { y } = await everywhere(graph, { inputs: { ids } });
        expect(floats(y!)).toEqual(Float32Array.from(values));
      }
    });

    test(`${type} weights times a unit vector give their columns`, async () => {
      using region = regionOf(Uint8Array.fromHex(hex));
      const width = values.length;
      const weight: Weight = { region, offset: 0, dtype: "f32", layout, shape: [1, width] };
      const graph = new Graph();
      const operands = [graph.input("x", "f32", [3, width]), graph.constant(weight)];
      const into = [graph.output("y", "f32", [3, 1])];
      graph.one("dense_matmul", operands, { attrs: { has_bias: 0 }, into });
      const x = new Float32Array(3 * width);
      const columns = [0, 31, width - 1];
      columns.forEach((column, row) => {
        x[row * width + column] = 1;
      });
      const { y } = await everywhere(graph, { inputs: { x } });
      expect([...floats(y!)]).toEqual(columns.map((column) => Math.fround(values[column]!)));
    });
  }

  test("refuses a token that is not in the vocabulary, naming the instruction and the token", async () => {
    using region = regionOf(new Float32Array(12));
    const weight: Weight = { region, offset: 0, dtype: "f32", layout: "strided", shape: [3, 4] };
    const graph = new Graph();
    const x = graph.one("embedding", [graph.input("ids", "i32", [2]), graph.constant(weight)]);
    graph.one("add", [x, x], { into: [graph.output("y", "f32", [2, 4])] });
    using program = new Program(graph);
    using y = Region.create(32);
    for (const id of [3, -1, 2 ** 31 - 1]) {
      const run = { inputs: { ids: Int32Array.of(2, id) }, regions: { y } };
      const message = `instruction 0 refused its data: token out of range (${id})`;
      await expect(program.submit(run)).rejects.toThrow(message);
      expect(() => program.now(run)).toThrow(message);
    }
  });
});

describe("abs_stats and ternarize", () => {
  for (const dtype of floatKinds) {
    test(`${dtype}: sums, extremes and codes follow their definitions`, async () => {
      for (const [rows, width] of [
        [1, 1],
        [3, 24],
        [5, 113],
        [2, 1030],
      ] as const) {
        const content = normals(rows * width, width, 0.05);
        content.fill(0, 0, Math.min(width, 20));
        const offset = 3;
        using region = regionOf(kinds[dtype].store(content), offset);
        const weight: Weight = { region, offset, dtype, layout: "strided", shape: [rows, width] };
        const graph = new Graph();
        const w = graph.constant(weight);
        graph.one("abs_stats", [w], { into: [graph.output("stats", "f64", [rows, 3])] });
        const codes = graph.output("codes", "i8", [rows, width]);
        const operands = [w, graph.input("scale", "f32", [1])];
        graph.one("ternarize", operands, { into: [codes] });
        for (const packing of tileNames) {
          graph.apply("ternarize", operands, { into: [tilesOf(graph, packing, [rows, width])] });
        }
        const scale = Math.fround(0.04);
        const got = await everywhere(graph, { inputs: { scale: Float32Array.of(scale) } });
        const exact = kinds[dtype].load(content);
        const inverse = Math.fround(1 / scale);
        const want = [...exact].map((value) =>
          Math.max(-1, Math.min(1, roundHalfEven(Math.fround(value * inverse)))),
        );
        const made = new Int8Array(got.codes!.buffer);
        expect([...made]).toEqual(want.map((code) => code + 0));
        expectTiles(got, made, [rows, width]);
        for (let row = 0; row < rows; row += 1) {
          const values = [...rowOf(exact, row, { width })].map(Math.abs);
          const [sum, largest, smallest] = new Float64Array(got.stats!.buffer).subarray(3 * row);
          const wanted = values.reduce((a, b) => a + b, 0);
          expect(Math.abs(sum! - wanted)).toBeLessThanOrEqual(1e-12 * wanted);
          expect(largest).toBe(Math.max(...values));
          expect(smallest).toBe(Math.min(...values.filter((value) => value > 0)));
        }
      }
    });
  }
});

interface Packed {
  layout: LayoutName;
  bytes: Uint8Array;
  shape: [number, number];
}

const scale = 0.0371;

/** The definitions of the checkpoint packings. */
const packers: Partial<
  Record<LayoutName, (codes: Int8Array, shape: [number, number]) => Uint8Array>
> = {
  tq1_0: (codes) => encodeTq1_0(codes, scale),
  tq2_0: (codes) => encodeTq2_0(codes, scale),
  i2_s_128: (codes) => encodeI2_S(codes, scale),
  i2_s_64: (codes) => encodeI2_S(codes, scale, 64),
  hf_ternary: (codes, shape) => packHfTernary(codes, shape),
};

const tilePackings = { tile2: packTile2, tile3: packTile3 } as const;
const tileNames = ["tile2", "tile3"] as const;

/** A state that takes a matrix as tiles. */
function tilesOf(graph: Graph, packing: (typeof tileNames)[number], shape: [number, number]) {
  return graph.packedState(graph.state(packing, packedSize(packing, ...shape)), packing, shape);
}

/** Expects tiles of both packings, by name among the results, to be those of the codes. */
function expectTiles(got: Results, codes: Int8Array, shape: [number, number]): void {
  for (const packing of tileNames) {
    expect(got[packing]).toEqual(new Uint8Array(tilePackings[packing](codes, ...shape)));
  }
}

/** Codes and scales of a packed matrix, and what it becomes straight as tiles. */
async function unpack({ layout, bytes, shape }: Packed) {
  using region = regionOf(bytes, 1);
  const graph = new Graph();
  const w = graph.constant({ region, offset: 1, dtype: "i8", layout, shape });
  const isBlocked = layout === "tq1_0" || layout === "tq2_0";
  const blockCount = isBlocked ? (shape[0] * shape[1]) / 256 : 1;
  const codes = graph.output("codes", "i8", shape);
  const scales = graph.output("scales", "f32", [blockCount]);
  graph.apply("unpack_ternary", [w], { into: [codes, scales] });
  for (const packing of tileNames) {
    const again = graph.output(`${packing} scales`, "f32", [blockCount]);
    graph.apply("unpack_ternary", [w], { into: [tilesOf(graph, packing, shape), again] });
  }
  const got = await everywhere(graph);
  for (const packing of tileNames) expect(got[`${packing} scales`]).toEqual(got.scales!);
  return { codes: new Int8Array(got.codes!.buffer), scales: floats(got.scales!), got };
}

describe("unpack_ternary and pack_tile2", () => {
  test("Hugging Face's quarters of rows come out exactly, and as tiles", async () => {
    for (const { shape, ternary, packed } of packing.hf_packing) {
      const bytes = Uint8Array.from(packed.flat());
      const got = await unpack({ layout: "hf_ternary", bytes, shape });
      const want = Int8Array.from(ternary.flat());
      expect(got.codes).toEqual(want);
      expect(got.scales).toEqual(Float32Array.of(1));
      expectTiles(got.got, want, shape);
    }
  });

  test("unpack_ternary: rows of several strips and blocks become the tiles of their codes", async () => {
    for (const [layout, shape] of [
      // Rows that four does not divide, and ends inside of tiles.
      ["hf_ternary", [70, 1300]],
      ["hf_ternary", [37, 645]],
      ["tq1_0", [33, 2816]],
      ["tq2_0", [65, 1536]],
      ["i2_s_128", [48, 1320]],
      ["i2_s_64", [34, 1504]],
    ] as [LayoutName, [number, number]][]) {
      const codes = new Int8Array(randomTernary(shape[0] * shape[1], shape[0]));
      const bytes = new Uint8Array(packers[layout]!(codes, shape));
      const { codes: unpacked, got } = await unpack({ layout, bytes, shape });
      expect(unpacked).toEqual(codes);
      expectTiles(got, codes, shape);
    }
  });

  test("two bits of 3 are code 2 alone, and weight 1 in tiles", async () => {
    const got = await unpack({ layout: "hf_ternary", bytes: Uint8Array.of(0xe4), shape: [4, 1] });
    expect(got.codes).toEqual(Int8Array.of(-1, 0, 1, 2));
    expectTiles(got.got, Int8Array.of(-1, 0, 1, 1), [4, 1]);
  });

  for (const one of packing.gguf_blocks) {
    const want = Int8Array.from(one.ternary);

    test(`${one.values} weights: TQ1_0 and TQ2_0 give the reference codes and scales`, async () => {
      for (const [layout, hex, scale] of [
        ["tq1_0", one.tq1_0_hex, one.tq1_0_dequantised_scale],
        ["tq2_0", one.tq2_0_hex, one.tq2_0_dequantised_scale],
      ] as const) {
        for (const width of new Set([256, one.values])) {
          const shape: [number, number] = [one.values / width, width];
          const got = await unpack({ layout, bytes: Uint8Array.fromHex(hex), shape });
          expect(got.codes).toEqual(want);
          got.scales.forEach((value, index) => {
            const isZero = want.subarray(index * 256, (index + 1) * 256).every((code) => !code);
            expect(value).toBe(isZero ? 0 : Math.fround(scale));
          });
          expectTiles(got.got, want, shape);
        }
      }
    });

    test(`${one.values} weights: both I2_S layouts give the reference codes and the scale`, async () => {
      for (const [layout, hex] of [
        ["i2_s_128", one.i2_s_hex],
        ["i2_s_64", one.i2_s_arm_hex],
      ] as const) {
        // Blocks go on over the ends of rows.
        for (const width of [one.values, 32, 8]) {
          const shape: [number, number] = [one.values / width, width];
          const got = await unpack({ layout, bytes: Uint8Array.fromHex(hex), shape });
          expect(got.codes).toEqual(want);
          expect(got.scales).toEqual(Float32Array.of(one.scale));
          expectTiles(got.got, want, shape);
        }
      }
    });
  }

  test("pack_ternary: checkpoint packings equal the reference byte for byte", async () => {
    for (const [layout, reference] of Object.entries(packers)) {
      const shape: [number, number] = layout === "hf_ternary" ? [13, 37] : [3, 768];
      const codes = randomTernary(shape[0] * shape[1], 5);
      codes.fill(0, 0, 300);
      const want = new Uint8Array(reference(codes, shape));
      const graph = new Graph();
      const operands = [graph.input("codes", "i8", shape), graph.input("scale", "f32", [1])];
      const storage = graph.state("packed", want.length);
      const packed = graph.packedState(storage, layout as LayoutName, shape);
      graph.apply("pack_ternary", operands, { into: [packed] });
      const got = await everywhere(graph, { inputs: { codes, scale: Float32Array.of(scale) } });
      expect(got.packed).toEqual(want);
    }
  });

  test("pack_tile2 and pack_tile3: ragged shapes and slices of wider rows equal the reference", async () => {
    for (const [rows, columns] of [
      [1, 1],
      [31, 17],
      [32, 20],
      [33, 112],
      [70, 130],
      [35, 1350],
    ] as const) {
      const graph = new Graph();
      const codes = graph.input("codes", "i8", [rows, columns + 3]).slice(1, 2, columns);
      for (const packing of tileNames) {
        const into = [tilesOf(graph, packing, [rows, columns])];
        graph.apply(`pack_${packing}`, [codes], { into });
      }
      const wide = randomTernary(rows * (columns + 3), rows);
      const got = await everywhere(graph, { inputs: { codes: wide } });
      const flat = Int8Array.from({ length: rows * columns }, (_, index) => {
        const row = Math.floor(index / columns);
        return wide[row * (columns + 3) + 2 + (index % columns)]!;
      });
      expectTiles(got, flat, [rows, columns]);
    }
  });
});
