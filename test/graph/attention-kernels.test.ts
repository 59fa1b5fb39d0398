/** rope_angles, rope, kv_write and attention as Programs, against their definitions in f64. */
import { describe, expect, test } from "bun:test";
import { Graph, Program, Sym, type Value } from "../../src/graph/index.ts";
import { pagePositions, Region } from "../../src/native/index.ts";
import { everywhere, floats } from "./everywhere.ts";
import { attentionHead, normals, toF16, worstError } from "./reference.ts";

const { fround } = Math;

describe("rope_angles", () => {
  test("cosines and sines of near and far positions within 1e-7 of f64", async () => {
    for (const half of [1, 3, 12, 40, 64]) {
      const positions = Int32Array.of(0, 1, 63, 64, 3000, 99_999, 100_000);
      const frequencies = Float32Array.from({ length: half }, (_, i) => 500_000 ** (-i / half));
      const graph = new Graph();
      const operands = [
        graph.input("positions", "i32", [7]),
        graph.input("frequencies", "f32", [half]),
      ];
      const into = [graph.output("cos", "f32", [7, half]), graph.output("sin", "f32", [7, half])];
      graph.apply("rope_angles", operands, { attrs: { scale: 1.25 }, into });
      const { cos, sin } = await everywhere(graph, { inputs: { positions, frequencies } });
      const angles = [...positions].flatMap((position) =>
        [...frequencies].map((frequency) => fround(position * frequency)),
      );
      const scaled = (f: (angle: number) => number) => angles.map((angle) => 1.25 * f(angle));
      expect(worstError(floats(cos!), scaled(Math.cos))).toBeLessThan(1e-7);
      expect(worstError(floats(sin!), scaled(Math.sin))).toBeLessThan(1e-7);
    }
  });

  test("refuses a negative position", async () => {
    const graph = new Graph();
    const operands = [graph.input("positions", "i32", [2]), graph.input("f", "f32", [1])];
    const into = [graph.output("cos", "f32", [2, 1]), graph.output("sin", "f32", [2, 1])];
    graph.apply("rope_angles", operands, { attrs: { scale: 1 }, into });
    const inputs = { positions: Int32Array.of(4, -5), f: Float32Array.of(1) };
    await expect(everywhere(graph, { inputs })).rejects.toThrow("position out of range (-5)");
  });
});

test("rope: turns the halves of every head, out of a buffer that holds more, rounding once each", async () => {
  for (const [rows, heads, width] of [
    [1, 1, 2],
    [5, 3, 6],
    [3, 2, 24],
    [7, 4, 80],
    [9, 5, 128],
  ] as const) {
    const half = width / 2;
    const wide = (heads + 2) * width;
    const graph = new Graph();
    const x = graph
      .input("x", "f32", [rows, wide])
      .slice(1, width, heads * width)
      .splitLast(heads, width);
    const angles = [
      graph.input("cos", "f32", [rows, half]),
      graph.input("sin", "f32", [rows, half]),
    ];
    graph.one("rope", [x, ...angles], { into: [graph.output("y", "f32", [rows, heads, width])] });
    const inputs = {
      x: normals(rows * wide, width),
      cos: normals(rows * half, 1),
      sin: normals(rows * half, 2),
    };
    const got = floats((await everywhere(graph, { inputs })).y!);
    const want: number[] = [];
    for (let row = 0; row < rows; row += 1) {
      for (let head = 0; head < heads; head += 1) {
        const from = row * wide + (head + 1) * width;
        for (let i = 0; i < width; i += 1) {
          const [c, s] = [inputs.cos, inputs.sin].map((part) => part[row * half + (i % half)]!);
          const other = i < half ? -inputs.x[from + i + half]! : inputs.x[from + i - half]!;
          want.push(fround(fround(inputs.x[from + i]! * c!) + fround(other * s!)));
        }
      }
    }
    expect(got).toEqual(Float32Array.from(want));
  }
});

interface CacheCase {
  dtype: "f32" | "f16";
  heads: number;
  groups: number;
  width: number;
  /** Positions that each sequence holds already, and how many rows it adds in this step. */
  sequences: readonly { cached: number; rows: number }[];
}

const tablePages = 4;

/** One step over cached positions: all rows are written by one kv_write each, then attended. */
function recordStep(graph: Graph, { dtype, heads, groups, width, sequences }: CacheCase): void {
  const pageCount = sequences.length * tablePages;
  const state = graph.state("cache", 2 * pageCount * groups * width * pagePositions * 4);
  const cache = [
    graph.stateValue(state, { dtype, dims: [pageCount, groups, width, pagePositions] }),
    graph.stateValue(state, {
      dtype,
      dims: [pageCount, groups, pagePositions, width],
      offset: pageCount * groups * width * pagePositions * (dtype === "f16" ? 2 : 4),
    }),
  ];
  const pages = graph.input("pages", "i32", [sequences.length, tablePages]);
  const step = (name: string, count: number, attend: boolean): void => {
    // Queries, keys and values as they come from one product.
    const all = graph.input(name, "f32", [count, (heads + 2 * groups) * width]);
    const part = (start: number, size: number): Value =>
      all.slice(1, start * width, size * width).splitLast(size, width);
    const k = part(heads, groups);
    const v = part(heads + groups, groups);
    const places = [
      graph.input(`${name} positions`, "i32", [count]),
      graph.input(`${name} sequences`, "i32", [count]),
      pages,
    ];
    graph.apply("kv_write", [k, v, ...places], { into: cache });
    if (!attend) return;
    graph.one("attention", [part(0, heads), ...cache, ...places], {
      attrs: { scale: fround(1 / Math.sqrt(width)) },
      into: [graph.output("y", "f32", [count, heads, width])],
    });
  };
  const total = (part: "cached" | "rows") => sequences.reduce((sum, one) => sum + one[part], 0);
  if (total("cached") > 0) step("cached", total("cached"), false);
  step("fresh", total("rows"), true);
}

/** Inputs of `recordStep`, and by sequence the rows of queries, keys and values by position. */
function stepInputs({ heads, groups, width, sequences }: CacheCase) {
  const rowSize = (heads + 2 * groups) * width;
  const inputs: Record<string, ArrayBufferView> = {};
  const bySequence = sequences.map(({ cached, rows }, sequence) =>
    Array.from({ length: cached + rows }, (_, at) => normals(rowSize, 1000 * sequence + at)),
  );
  for (const [name, select] of [
    ["cached", (at: number, { cached }: { cached: number }) => at < cached],
    ["fresh", (at: number, { cached }: { cached: number }) => at >= cached],
  ] as const) {
    const places = sequences.flatMap((one, sequence) =>
      bySequence[sequence]!.map((_, at) => ({ at, sequence })).filter(({ at }) => select(at, one)),
    );
    if (places.length === 0) continue;
    const content = places.flatMap(({ at, sequence }) => [...bySequence[sequence]![at]!]);
    inputs[name] = Float32Array.from(content);
    inputs[`${name} positions`] = Int32Array.from(places, ({ at }) => at);
    inputs[`${name} sequences`] = Int32Array.from(places, ({ sequence }) => sequence);
  }
  const pageCount = sequences.length * tablePages;
  // Pages lie in an order of their own.
  inputs.pages = Int32Array.from({ length: pageCount }, (_, i) => (i * 5 + 3) % pageCount);
  return { inputs, bySequence };
}

async function checkAttention(shape: CacheCase): Promise<void> {
  const { dtype, heads, groups, width, sequences } = shape;
  const graph = new Graph();
  recordStep(graph, shape);
  const { inputs, bySequence } = stepInputs(shape);
  const got = floats((await everywhere(graph, { inputs })).y!);
  const stored = (part: Float32Array) => (dtype === "f16" ? Float32Array.from(toF16(part)) : part);
  const want: number[] = [];
  sequences.forEach(({ cached, rows }, sequence) => {
    const all = bySequence[sequence]!;
    const slice = (at: number, start: number) =>
      all[at]!.subarray(start * width, (start + 1) * width);
    for (let at = cached; at < cached + rows; at += 1) {
      for (let head = 0; head < heads; head += 1) {
        const group = Math.floor(head / (heads / groups));
        const past = Array.from({ length: at + 1 }, (_, index) => index);
        const keys = past.map((index) => stored(slice(index, heads + group)));
        const values = past.map((index) => stored(slice(index, heads + groups + group)));
        const scale = fround(1 / Math.sqrt(width));
        want.push(...attentionHead({ q: slice(at, head), keys, values, scale }));
      }
    }
  });
  expect(worstError(got, want)).toBeLessThan(3e-6);
}

describe("kv_write and attention", () => {
  for (const dtype of ["f32", "f16"] as const) {
    test(`${dtype} pages: a token after 0, 62, 63, 64, 65, 127 and 128 others`, async () => {
      for (const cached of [0, 62, 63, 64, 65, 127, 128]) {
        const sequences = [{ cached, rows: 1 }];
        await checkAttention({ dtype, heads: 4, groups: 2, width: 24, sequences });
      }
    });

    test(`${dtype} pages: prompts that end around the edges of pages`, async () => {
      for (const rows of [1, 2, 63, 64, 65, 128, 129]) {
        const sequences = [{ cached: 0, rows }];
        await checkAttention({ dtype, heads: 3, groups: 1, width: 6, sequences });
      }
    });

    test(`${dtype} pages: heads of any width over any number of groups`, async () => {
      for (const [heads, groups, width] of [
        [1, 1, 2],
        [5, 5, 6],
        [6, 2, 24],
        [8, 1, 80],
        [20, 5, 128],
        [3, 3, 112],
      ] as const) {
        const sequences = [{ cached: 61, rows: 5 }];
        await checkAttention({ dtype, heads, groups, width, sequences });
      }
    });

    test(`${dtype} pages: rows of several sequences of different lengths see only their own`, async () => {
      const sequences = [
        { cached: 130, rows: 1 },
        { cached: 0, rows: 70 },
        { cached: 5, rows: 1 },
        { cached: 63, rows: 3 },
      ];
      await checkAttention({ dtype, heads: 4, groups: 2, width: 16, sequences });
    });
  }

  test("a row's result is the same alone as in any batch", async () => {
    const base = { dtype: "f32", heads: 4, groups: 2, width: 24 } as const;
    const run = async (shape: CacheCase) => {
      const graph = new Graph();
      recordStep(graph, shape);
      return floats((await everywhere(graph, stepInputs(shape))).y!);
    };
    const batch = await run({ ...base, sequences: [{ cached: 0, rows: 100 }] });
    const size = base.heads * base.width;
    for (const cached of [0, 63, 64, 99]) {
      const alone = await run({ ...base, sequences: [{ cached, rows: 1 }] });
      expect(alone).toEqual(batch.slice(cached * size, (cached + 1) * size));
    }
  });

  test("refuses positions, sequences and pages that are not there", async () => {
    const rows = new Sym("rows", 1, 0);
    const graph = new Graph();
    const state = graph.state("cache", 2 * 2 * 4 * pagePositions * 4);
    const size = 2 * 4 * pagePositions * 4;
    const cache = [
      graph.stateValue(state, { dtype: "f32", dims: [2, 1, 4, pagePositions] }),
      graph.stateValue(state, { dtype: "f32", dims: [2, 1, pagePositions, 4], offset: size }),
    ];
    const x = graph.input("x", "f32", [rows, 1, 4]);
    const places = [
      graph.input("position", "i32", [rows]),
      graph.input("sequence", "i32", [rows]),
      graph.input("pages", "i32", [2, 2]),
    ];
    const y = graph.output("y", "f32", [rows, 1, 4]);
    graph.one("attention", [x, ...cache, ...places], { attrs: { scale: 1 }, into: [y] });
    graph.apply("kv_write", [x, x, ...places], { into: cache });
    using program = new Program(graph);
    using yRegion = Region.create(64);
    using cacheRegion = Region.create(state.size);
    const run = (position: number, sequence: number): void =>
      program.now({
        inputs: {
          x: new Float32Array(4),
          position: Int32Array.of(position),
          sequence: Int32Array.of(sequence),
          pages: Int32Array.of(0, 1, -1, 2),
        },
        regions: { y: yRegion, cache: cacheRegion },
      });
    run(127, 0);
    for (const [position, sequence, fault] of [
      [128, 0, "position out of range (128)"],
      [-1, 0, "position out of range (-1)"],
      [0, 2, "sequence out of range (2)"],
      [0, -1, "sequence out of range (-1)"],
      [0, 1, "page out of range (-1)"],
      [64, 1, "page out of range"],
    ] as const) {
      expect(() => run(position, sequence)).toThrow(`instruction 0 refused its data: ${fault}`);
    }
  });
});
