/**
 * matmul as a Program: every level within the error of one rounding a step of f64 sums, the same
 * bits for any number of threads; strides, transposes, batches, storage dtypes, what is not finite.
 */
import { describe, expect, test } from "bun:test";
import { Graph, type Value } from "../../src/graph/index.ts";
import { everywhere } from "./everywhere.ts";
import { fromBf16, normals, toBf16, toF16 } from "./reference.ts";

type Stored = "f32" | "f64" | "f16" | "bf16";

interface Case {
  m: number;
  n: number;
  k: number;
  dtype?: Stored;
  /** Which factors, and whether C, lie transposed. */
  turned?: { a?: boolean; b?: boolean; c?: boolean };
}

/** Values and their bytes in a dtype, and what they round to there. */
function stored(values: number[], dtype: Stored): { bytes: ArrayBufferView; rounded: number[] } {
  if (dtype === "f64") return { bytes: Float64Array.from(values), rounded: values };
  if (dtype === "f32") {
    const bytes = Float32Array.from(values);
    return { bytes, rounded: [...bytes] };
  }
  if (dtype === "f16") {
    const bytes = toF16(values);
    return { bytes, rounded: [...bytes] };
  }
  const bytes = toBf16(values);
  return { bytes, rounded: [...fromBf16(bytes)] };
}

/** A matrix input of the graph, stored row by row or column by column. */
function factor(
  graph: Graph,
  name: string,
  shape: { dims: [number, number]; dtype: Stored; turned?: boolean },
) {
  const { dims, dtype, turned } = shape;
  if (!turned) return graph.input(name, dtype, dims);
  return graph.input(name, dtype, [dims[1], dims[0]]).permute([1, 0]);
}

async function check({ m, n, k, dtype = "f32", turned = {} }: Case): Promise<void> {
  const graph = new Graph();
  const a = factor(graph, "a", { dims: [m, k], dtype, turned: turned.a });
  const b = factor(graph, "b", { dims: [k, n], dtype, turned: turned.b });
  const out = dtype === "f64" ? "f64" : "f32";
  const y = graph.output("y", out, turned.c ? [n, m] : [m, n]);
  graph.one("matmul", [a, b], { into: [turned.c ? y.permute([1, 0]) : y] });
  const left = stored([...normals(m * k, 5)], dtype);
  const right = stored([...normals(k * n, 6)], dtype);
  const inputs = { a: left.bytes, b: right.bytes };
  const bytes = (
    await everywhere(graph, { inputs, betweenLevels: out === "f32" ? 1e-3 : Infinity })
  ).y!;
  const got = out === "f64" ? new Float64Array(bytes.buffer) : new Float32Array(bytes.buffer);
  const eps = out === "f64" ? 2 ** -52 : 2 ** -23;
  for (let i = 0; i < m; i += 1) {
    for (let j = 0; j < n; j += 1) {
      let want = 0;
      let size = 0;
      for (let at = 0; at < k; at += 1) {
        const x = left.rounded[turned.a ? at * m + i : i * k + at]!;
        const w = right.rounded[turned.b ? j * k + at : at * n + j]!;
        want += x * w;
        size += Math.abs(x * w);
      }
      const difference = Math.abs(got[turned.c ? j * m + i : i * n + j]! - want);
      if (!(difference <= (k + 1) * eps * size)) {
        throw new Error(
          `${JSON.stringify({ m, n, k, dtype, turned })}: (${i}, ${j}) is ${difference} off`,
        );
      }
    }
  }
}

describe("matmul", () => {
  test("sizes around every tile, in all transposed forms, are within rounding of f64 sums", async () => {
    const sizes: [number, number, number][] = [
      [1, 1, 1],
      [2, 3, 4],
      [4, 8, 5],
      [5, 9, 16],
      [6, 16, 17],
      [7, 17, 15],
      [11, 31, 33],
      [12, 32, 31],
      [13, 33, 64],
      [25, 65, 319],
      [24, 64, 320],
      [3, 40, 321],
      [49, 7, 130],
    ];
    for (const [m, n, k] of sizes) {
      for (const bits of [0, 1, 2, 7]) {
        const turned = { a: (bits & 1) > 0, b: (bits & 2) > 0, c: (bits & 4) > 0 };
        await check({ m, n, k, turned });
      }
    }
  });

  test("a row or a column by a matrix, stored either way", async () => {
    for (const turned of [{}, { a: true }, { b: true }, { a: true, b: true }]) {
      for (const extent of [1, 15, 16, 33, 67]) {
        await check({ m: 1, n: extent, k: 41, turned });
        await check({ m: extent, n: 1, k: 41, turned });
      }
    }
  });

  test("f64, f16 and bf16 factors, converted exactly", async () => {
    for (const dtype of ["f64", "f16", "bf16"] as const) {
      for (const turned of [{}, { a: true, b: true }]) {
        await check({ m: 13, n: 35, k: 40, dtype, turned });
        await check({ m: 1, n: 35, k: 40, dtype, turned });
        await check({ m: 13, n: 1, k: 40, dtype, turned });
      }
    }
  });

  test("a sum over nothing is zero, and no rows or columns touch nothing", async () => {
    await check({ m: 5, n: 7, k: 0 });
    await check({ m: 1, n: 7, k: 0 });
    await check({ m: 0, n: 7, k: 3 });
    await check({ m: 5, n: 0, k: 3 });
  });

  test("NaN and infinity reach every element that they are part of", async () => {
    const graph = new Graph();
    const operands = [graph.input("a", "f32", [13, 20]), graph.input("b", "f32", [20, 40])];
    graph.one("matmul", operands, { into: [graph.output("y", "f32", [13, 40])] });
    const a = new Float32Array(13 * 20).fill(1);
    const b = new Float32Array(20 * 40).fill(1);
    a[3 * 20 + 19] = Number.NaN;
    b[7 * 40 + 39] = Number.POSITIVE_INFINITY;
    const { y } = await everywhere(graph, { inputs: { a, b } });
    const got = new Float32Array(y!.buffer);
    for (let i = 0; i < 13; i += 1) {
      for (let j = 0; j < 40; j += 1) {
        expect(got[i * 40 + j]!).toBe(
          i === 3 ? Number.NaN : j === 39 ? Number.POSITIVE_INFINITY : 20,
        );
      }
    }
  });

  test("batches: equal extents, extents of 1 and missing ones are read again", async () => {
    const cases: { a: number[]; b: number[]; dims: number[] }[] = [
      { a: [3, 2, 4, 5], b: [3, 2, 5, 6], dims: [3, 2, 4, 6] },
      { a: [3, 1, 4, 5], b: [2, 5, 6], dims: [3, 2, 4, 6] },
      { a: [4, 5], b: [3, 5, 6], dims: [3, 4, 6] },
      { a: [40, 1, 5], b: [40, 5, 1], dims: [40, 1, 1] },
    ];
    for (const { a, b, dims } of cases) {
      const graph = new Graph();
      const product = graph.one("matmul", [graph.input("a", "f32", a), graph.input("b", "f32", b)]);
      expect(product.dims).toEqual(dims);
      graph.one("copy", [product], { into: [graph.output("y", "f32", dims)] });
      const size = (shape: number[]): number => shape.reduce((x, extent) => x * extent, 1);
      const inputs = { a: normals(size(a), 1), b: normals(size(b), 2) };
      const { y } = await everywhere(graph, { inputs, betweenLevels: 1e-5 });
      expectBatch({ got: new Float32Array(y!.buffer), ...inputs }, { a, b, dims });
    }
  });

  test("the shape rule names both shapes when they do not fit", () => {
    const graph = new Graph();
    const value = (name: string, dims: number[], dtype: Stored = "f32"): Value =>
      graph.input(name, dtype, dims);
    const a = value("a", [2, 3]);
    expect(() => graph.one("matmul", [a, value("b", [4, 5])])).toThrow(
      "want (..., m, k) by (..., k, n), got f32(2, 3) by f32(4, 5)",
    );
    expect(() => graph.one("matmul", [a, value("c", [3])])).toThrow("got f32(2, 3) by f32(3)");
    expect(() => graph.one("matmul", [a, value("d", [3, 4], "f64")])).toThrow("f64");
    expect(() => graph.one("matmul", [value("e", [2, 2, 3]), value("f", [5, 3, 4])])).toThrow(
      "batches differ: f32(2, 2, 3) by f32(5, 3, 4)",
    );
  });
});

interface BatchShapes {
  a: number[];
  b: number[];
  dims: number[];
}

function expectBatch(
  { got, a, b }: Record<"got" | "a" | "b", Float32Array>,
  shapes: BatchShapes,
): void {
  const [m, n] = shapes.dims.slice(-2) as [number, number];
  const k = shapes.a.at(-1)!;
  const batch = shapes.dims.slice(0, -2);
  const count = batch.reduce((x, extent) => x * extent, 1);
  for (let index = 0; index < count; index += 1) {
    const left = startOf(shapes.a, batch, index);
    const right = startOf(shapes.b, batch, index);
    for (let at = 0; at < m * n; at += 1) {
      const [i, j] = [Math.floor(at / n), at % n];
      let want = 0;
      for (let x = 0; x < k; x += 1) want += a[left + i * k + x]! * b[right + x * n + j]!;
      expect(Math.abs(got[index * m * n + at]! - want)).toBeLessThan(1e-5);
    }
  }
}

/** Where matrix `index` of a broadcast batch begins in row-major memory. */
function startOf(shape: number[], batch: number[], index: number): number {
  let rest = index;
  let stride = shape.at(-1)! * shape.at(-2)!;
  let start = 0;
  for (let axis = batch.length - 1; axis >= 0; axis -= 1) {
    const at = rest % batch[axis]!;
    rest = Math.floor(rest / batch[axis]!);
    const own = shape[axis - batch.length + shape.length - 2];
    if (own === undefined || axis - batch.length + shape.length - 2 < 0) continue;
    if (own > 1) start += at * stride;
    stride *= own;
  }
  return start;
}
