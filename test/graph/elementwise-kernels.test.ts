/** copy, add, sub, mul, div and gather_rows as Programs, over every kind of strides. */
import { describe, expect, test } from "bun:test";
import { BitNetError } from "../../src/errors/index.ts";
import { Graph, Program, type Value } from "../../src/graph/index.ts";
import { type DTypeName, Region } from "../../src/native/index.ts";
import { everywhere, floats } from "./everywhere.ts";
import { fromBf16, integers, normals, toBf16, toF16 } from "./reference.ts";

const { fround } = Math;

const apply: Record<"add" | "sub" | "mul" | "div", (a: number, b: number) => number> = {
  add: (a, b) => fround(a + b),
  sub: (a, b) => fround(a - b),
  mul: (a, b) => fround(a * b),
  div: (a, b) => fround(a / b),
};
const ops = Object.keys(apply) as (keyof typeof apply)[];

/** The element of a value's input at each index tuple, in row-major order. */
function gathered<T>(content: ArrayLike<T>, value: Value): T[] {
  const start = value.offset / (value.dtype === "f32" || value.dtype === "i32" ? 4 : 2);
  let offsets = [start];
  value.dims.forEach((dim, axis) => {
    offsets = offsets.flatMap((at) =>
      Array.from({ length: dim as number }, (_, i) => at + i * value.strides[axis]!),
    );
  });
  return offsets.map((at) => content[at]!);
}

/** Views of two inputs that an elementwise op may meet. */
const views: Record<string, (a: Value, b: Value) => [Value, Value]> = {
  contiguous: (a, b) => [a, b],
  permuted: (a, b) => [a.permute([2, 0, 1]), b.permute([2, 0, 1])],
  "one permuted": (a, b) =>
    [a.permute([1, 0, 2]), b.permute([1, 0, 2]).slice(2, 0, 35)].map((v) => v.slice(2, 0, 35)) as [
      Value,
      Value,
    ],
  sliced: (a, b) => [a.slice(1, 1, 2).slice(2, 3, 17), b.slice(1, 0, 2).slice(2, 18, 17)],
  "a row repeated": (a, b) => [a, b.slice(0, 0, 1).slice(1, 2, 1).broadcast(a.dims)],
  "a column repeated": (a, b) => [a.slice(2, 5, 1).broadcast(b.dims), b],
  "one element repeated": (a, b) =>
    [a, b.slice(0, 1, 1).slice(1, 1, 1).slice(2, 1, 1)].map((v) => v.broadcast(a.dims)) as [
      Value,
      Value,
    ],
};

const dims = [4, 3, 35];
const count = 4 * 3 * 35;

describe("add, sub, mul, div", () => {
  for (const [name, view] of Object.entries(views)) {
    test(`f32 ${name}: every element rounds once`, async () => {
      const [x, z] = [normals(count, 1), normals(count, 2)];
      for (const op of ops) {
        const graph = new Graph();
        const [a, b] = view(graph.input("a", "f32", dims), graph.input("b", "f32", dims));
        graph.one(op, [a, b], { into: [graph.output("y", "f32", a.dims)] });
        const { y } = await everywhere(graph, { inputs: { a: x, b: z } });
        const [left, right] = [gathered(x, a), gathered(z, b)];
        expect([...floats(y!)]).toEqual(left.map((value, i) => apply[op](value, right[i]!)));
      }
    });
  }

  test("i32: sums and products wrap, quotients truncate, by zero they are 0", async () => {
    const low = -(2 ** 31);
    const high = 2 ** 31 - 1;
    const edge = [0, 1, -1, 2, -2, 7, -7, high, low, low + 1, 65_536, -65_537];
    const x = Int32Array.from(edge.flatMap((a) => edge.map(() => a)));
    const z = Int32Array.from(edge.flatMap(() => edge));
    const want = {
      add: (a: number, b: number) => (a + b) | 0,
      sub: (a: number, b: number) => (a - b) | 0,
      mul: (a: number, b: number) => Math.imul(a, b),
      div: (a: number, b: number) => (b === 0 ? 0 : (a / b) | 0),
    };
    for (const op of ops) {
      const graph = new Graph();
      const operands = [graph.input("a", "i32", [12, 12]), graph.input("b", "i32", [12, 12])];
      graph.one(op, operands, { into: [graph.output("y", "i32", [12, 12])] });
      const { y } = await everywhere(graph, { inputs: { a: x, b: z } });
      expect([...new Int32Array(y!.buffer)]).toEqual([...x].map((a, i) => want[op](a, z[i]!)));
    }
  });

  test("long vectors around the span of 1024, in place in an output's slice", async () => {
    for (const width of [1, 15, 1023, 1024, 1025, 3000]) {
      const graph = new Graph();
      const operands = [graph.input("a", "f32", [width]), graph.input("b", "f32", [width])];
      const wide = graph.output("y", "f32", [width + 9]).slice(0, 4, width);
      graph.one("copy", [operands[0]!], { into: [wide] });
      graph.one("add", [wide, operands[1]!], { into: [wide] });
      const [x, z] = [normals(width, width), normals(width, width + 1)];
      const { y } = await everywhere(graph, { inputs: { a: x, b: z } });
      const got = floats(y!);
      expect([...got.subarray(4, 4 + width)]).toEqual([...x].map((v, i) => fround(v + z[i]!)));
      const untouched = new Float32Array(Uint8Array.of(0x55, 0x55, 0x55, 0x55).buffer)[0]!;
      expect([got[3], got[4 + width]]).toEqual([untouched, untouched]);
    }
  });

  test("rank 0 is one element", async () => {
    const graph = new Graph();
    const y = graph.output("y", "f32", []);
    graph.one("mul", [graph.input("a", "f32", []), graph.input("b", "f32", [])], { into: [y] });
    const inputs = { a: Float32Array.of(3), b: Float32Array.of(-7) };
    expect(floats((await everywhere(graph, { inputs })).y!)).toEqual(Float32Array.of(-21));
  });
});

describe("copy", () => {
  const values = [
    ...normals(700, 5, 100),
    ...[0, -0, 1e-8, 6e-5, 6.1e-5, 65_504, 65_519.9, 65_520, 1e30, -1e38, 1 / 3],
    ...[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  ].map(fround);

  async function convert(from: DTypeName, to: DTypeName, x: ArrayBufferView) {
    const graph = new Graph();
    const n = values.length;
    graph.one("copy", [graph.input("x", from, [n])], { into: [graph.output("y", to, [n])] });
    return (await everywhere(graph, { inputs: { x } })).y!;
  }

  test("floats become f16 and bf16 by rounding half to even, and come back exactly", async () => {
    const f16 = toF16(values);
    const bf16 = toBf16(values);
    const f32 = Float32Array.from(values);
    expect(new Float16Array((await convert("f32", "f16", f32)).buffer)).toEqual(f16);
    expect(new Uint16Array((await convert("f32", "bf16", f32)).buffer)).toEqual(bf16);
    expect(floats(await convert("f16", "f32", f16))).toEqual(Float32Array.from(f16));
    expect(floats(await convert("bf16", "f32", bf16))).toEqual(fromBf16(bf16));
    const narrowed = new Uint16Array((await convert("f16", "bf16", f16)).buffer);
    expect(narrowed).toEqual(toBf16(f16));
  });

  test("equal dtypes of every size keep their bits over a transposition", async () => {
    const sizes = { f64: 8, u32: 4, i16: 2, bf16: 2, i8: 1, bool: 1 } as const;
    for (const [dtype, size] of Object.entries(sizes) as [DTypeName, number][]) {
      const x = Uint8Array.from(integers(33 * 40 * size, size, [0, 255]));
      const graph = new Graph();
      const turned = graph.input("x", dtype, [33, 40]).permute([1, 0]);
      graph.one("copy", [turned], { into: [graph.output("y", dtype, [40, 33])] });
      const { y } = await everywhere(graph, { inputs: { x } });
      const want = new Uint8Array(x.length);
      for (let i = 0; i < 40; i += 1) {
        for (let j = 0; j < 33; j += 1) {
          const from = (j * 40 + i) * size;
          want.set(x.subarray(from, from + size), (i * 33 + j) * size);
        }
      }
      expect(y).toEqual(want);
    }
  });

  test("six axes, each with a stride of its own", async () => {
    const shape = [2, 3, 1, 4, 2, 5];
    const x = normals(240, 9);
    const graph = new Graph();
    const input = graph.input("x", "f32", shape);
    const view = input.permute([5, 3, 2, 0, 4, 1]);
    graph.one("copy", [view], { into: [graph.output("y", "f32", view.dims)] });
    const { y } = await everywhere(graph, { inputs: { x } });
    expect([...floats(y!)]).toEqual(gathered(x, view));
  });
});

describe("gather_rows", () => {
  test("takes rows in any order, of a slice of wider rows", async () => {
    for (const width of [1, 16, 24, 112]) {
      const graph = new Graph();
      const x = graph.input("x", "f32", [9, width + 5]).slice(1, 3, width);
      const operands = [x, graph.input("rows", "i32", [6])];
      graph.one("gather_rows", operands, { into: [graph.output("y", "f32", [6, width])] });
      const content = normals(9 * (width + 5), width);
      const rows = Int32Array.of(8, 0, 3, 3, 8, 1);
      const { y } = await everywhere(graph, { inputs: { x: content, rows } });
      const want = [...rows].flatMap((row) => [
        ...content.subarray(row * (width + 5) + 3, row * (width + 5) + 3 + width),
      ]);
      expect([...floats(y!)]).toEqual(want);
    }
  });

  test("refuses a row that is not there, naming the instruction and the row", async () => {
    const graph = new Graph();
    const rows = graph.input("rows", "i32", [2]);
    const x = graph.one("copy", [graph.input("x", "f32", [3, 4])]);
    const y = graph.one("gather_rows", [x, rows]);
    graph.one("add", [y, y], { into: [graph.output("y", "f32", [2, 4])] });
    using program = new Program(graph);
    using region = Region.create(32);
    for (const row of [3, -1]) {
      const run = program.submit({
        inputs: { rows: Int32Array.of(0, row), x: new Float32Array(12) },
        regions: { y: region },
      });
      await expect(run).rejects.toBeInstanceOf(BitNetError);
      await expect(run).rejects.toMatchObject({
        code: "native/run-failed",
        message: expect.stringContaining(
          `instruction 1 refused its data: row out of range (${row})`,
        ),
      });
    }
  });
});
