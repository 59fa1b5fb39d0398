/**
 * The Program is general: views of any strides, several sequences in one run of a real model,
 * conditional updates of state, feedback over steps, sizes that change by run.
 */
import { describe, expect, test } from "bun:test";
import { Graph, Program, Sym } from "../../src/graph/index.ts";
import { Region } from "../../src/native/index.ts";
import { floats } from "./everywhere.ts";
import { openDecoder, recordLogits } from "./model-graph.ts";
import { normals } from "./reference.ts";

function floatsOf(region: Region, count = region.size / 4): Float32Array {
  return floats(new Uint8Array(region.bytes(0, count * 4)));
}

test("a strided broadcast add: permuted, repeated and sliced views, then in place", async () => {
  const graph = new Graph();
  const a = graph.input("a", "f32", [3, 4, 5]).permute([2, 0, 1]);
  const row = graph.input("row", "f32", [4]).broadcast([5, 3, 4]);
  const column = graph.input("column", "f32", [5, 1, 1]).broadcast([5, 3, 4]);
  const y = graph.output("y", "f32", [5, 3, 9]).slice(2, 2, 4);
  graph.one("add", [a, row], { into: [y] });
  graph.one("add", [y, column], { into: [y] });
  using program = new Program(graph);
  using region = Region.create(5 * 3 * 9 * 4);
  const inputs = { a: normals(60, 1), row: normals(4, 2), column: normals(5, 3) };
  for (const threads of [1, 3]) {
    await program.submit({ inputs, regions: { y: region }, threads });
    const got = floatsOf(region);
    for (let i = 0; i < 5; i += 1) {
      for (let j = 0; j < 3; j += 1) {
        for (let k = 0; k < 9; k += 1) {
          const inside = k >= 2 && k < 6;
          const sum = Math.fround(inputs.a[(j * 4 + k - 2) * 5 + i]! + inputs.row[k - 2]!);
          const want = inside ? Math.fround(sum + inputs.column[i]!) : 0;
          expect(got[(i * 3 + j) * 9 + k]).toBe(want);
        }
      }
    }
  }
});

test("a region need be no larger than a run's sizes ask for, and one too small is refused", () => {
  const graph = new Graph();
  const rows = new Sym("rows", 100, 1);
  const x = graph.stateValue(graph.state("x", 100 * 16), {
    dtype: "f32",
    dims: [{ sym: rows, mul: 1, add: 0 }, 4],
  });
  const rest = graph.stateValue(graph.state("rest", 100 * 16), {
    dtype: "f32",
    dims: [{ sym: rows, mul: 1, add: -1 }, 4],
  });
  graph.one("add", [rest, rest], { into: [rest] });
  graph.one("add", [x, x], { into: [x] });
  using program = new Program(graph);
  using both = Region.create(192);
  for (const [index, float] of normals(40, 1).entries()) {
    new Float32Array(both.bytes(0, 192).buffer)[index] = float;
  }
  // Five rows of x, and behind them, at the next place that a region may have, four of the others.
  const before = floatsOf(both).slice();
  const run = { regions: { x: { region: both, offset: 0 }, rest: { region: both, offset: 128 } } };
  program.now({ ...run, syms: { rows: 5 } });
  const twice = (from: number, count: number): number[] =>
    Array.from(before.slice(from, from + count), (float) => 2 * float);
  expect([...floatsOf(both).slice(0, 20)]).toEqual(twice(0, 20));
  expect([...floatsOf(both).slice(20, 32)]).toEqual([...before.slice(20, 32)]);
  expect([...floatsOf(both).slice(32, 48)]).toEqual(twice(32, 16));
  for (const size of [6, 9, 100]) {
    expect(() => program.now({ ...run, syms: { rows: size } })).toThrow("do not fit");
  }
});

describe("two sequences of different length in one run", () => {
  const lengths = [70, 9];
  const pages = 2;

  for (const name of ["bitnet-2b4t-packed", "falcon3-1.58"]) {
    for (const precision of ["exact", "fast"] as const) {
      test(`${name}, ${precision}: the logits of each are those of its own run, bit for bit`, async () => {
        using loaded = await openDecoder(name);
        const { decoder } = loaded;
        const { vocabularySize } = decoder.config;
        const tokens = lengths.map((length, sequence) =>
          Array.from({ length }, (_, at) => (at * 37 + sequence * 101 + 5) % vocabularySize),
        );
        const graph = new Graph();
        const rows = new Sym("rows", 79, 1);
        recordLogits(graph, decoder, { rows, sequences: 2, pages, precision });
        using program = new Program(graph);
        using cache = Region.create(graph.storages.get("cache")!.size);
        using logits = Region.create(79 * vocabularySize * 4);
        const run = async (places: { at: number; sequence: number }[]): Promise<Float32Array> => {
          cache.bytes().fill(0xff);
          await program.submit({
            syms: { rows: places.length },
            inputs: {
              ids: Int32Array.from(places, ({ at, sequence }) => tokens[sequence]![at]!),
              positions: Int32Array.from(places, ({ at }) => at),
              sequences: Int32Array.from(places, ({ sequence }) => sequence),
              pages: Int32Array.of(3, 0, 1, 2),
            },
            regions: { cache, logits },
            threads: 2,
          });
          return floatsOf(logits, places.length * vocabularySize);
        };
        const rowsOf = (sequence: number) => tokens[sequence]!.map((_, at) => ({ at, sequence }));
        const both = await run([...rowsOf(0), ...rowsOf(1)]);
        expect(both.subarray(0, 70 * vocabularySize)).toEqual(await run(rowsOf(0)));
        expect(both.subarray(70 * vocabularySize)).toEqual(await run(rowsOf(1)));
        // Rows of both, alternating: what a step of several people's prompts may look like.
        const mixed = rowsOf(1).flatMap((place) => [{ at: place.at, sequence: 0 }, place]);
        const turns = await run(mixed);
        for (const [index, { at, sequence }] of mixed.entries()) {
          const start = (at + (sequence === 1 ? 70 : 0)) * vocabularySize;
          const got = turns.subarray(index * vocabularySize, (index + 1) * vocabularySize);
          expect(got).toEqual(both.subarray(start, start + vocabularySize));
        }
      });
    }
  }
});

describe("a predicated state update", () => {
  /** sum += x where `on` is not 0; the other sum always. */
  function record(commit: boolean): { graph: Graph } {
    const graph = new Graph();
    const x = graph.input("x", "f32", [4]);
    const predicate = graph.input("on", "i32", [1]);
    const sum = graph.stateValue(graph.state("sum", 16), { dtype: "f32", dims: [4] });
    const always = graph.stateValue(graph.state("always", 16), { dtype: "f32", dims: [4] });
    graph.one("add", [sum, x], { into: [sum], predicate, commit });
    graph.one("add", [always, x], { into: [always], commit });
    return { graph };
  }

  for (const commit of [false, true]) {
    test(`${commit ? "committed" : "plain"}: happens where the predicate is not 0, on any threads`, async () => {
      using program = new Program(record(commit).graph);
      using sum = Region.create(16);
      using always = Region.create(16);
      let wanted = 0;
      for (const [step, on] of [1, 0, -7, 0, 2 ** 31 - 1].entries()) {
        await program.submit({
          inputs: { x: Float32Array.of(1, 2, 3, 4), on: Int32Array.of(on) },
          regions: { sum, always },
          threads: 1 + (step % 3),
        });
        wanted += on === 0 ? 0 : 1;
        expect(floatsOf(sum)[3]).toBe(4 * wanted);
        expect(floatsOf(always)[3]).toBe(4 * (step + 1));
      }
    });
  }

  test("a predicate that the program computes switches over steps", async () => {
    const graph = new Graph();
    const left = graph.input("left", "i32", [1]);
    const one = graph.input("one", "i32", [1]);
    const count = graph.stateValue(graph.state("count", 4), { dtype: "i32", dims: [1] });
    graph.one("add", [count, one], { into: [count], predicate: left });
    const next = graph.one("copy", [left]);
    graph.one("sub", [next, one], { into: [next], predicate: left });
    graph.feedback(next, left);
    using program = new Program(graph);
    using region = Region.create(4);
    const inputs = { left: Int32Array.of(5), one: Int32Array.of(1) };
    expect(await program.submit({ inputs, regions: { count: region }, steps: 9 })).toBe(9);
    expect(new Int32Array(region.bytes().buffer)[0]).toBe(5);
  });
});

describe("feedback over steps", () => {
  test("carries a value from each step to the next, and none out of the run", async () => {
    const graph = new Graph();
    const [a, b] = [graph.input("a", "f32", [3]), graph.input("b", "f32", [3])];
    const sum = graph.one("add", [a, b]);
    graph.one("copy", [sum], { into: [graph.output("y", "f32", [3])] });
    graph.feedback(b, a);
    graph.feedback(sum, b);
    using program = new Program(graph);
    using y = Region.create(12);
    const inputs = { a: Float32Array.of(0, 1, 2), b: Float32Array.of(1, 1, 5) };
    for (const [steps, want] of [
      [1, 1],
      [2, 2],
      [10, 89],
      [1, 1],
    ] as const) {
      await program.submit({ inputs, regions: { y }, steps });
      expect(floatsOf(y)[0]).toBe(want);
      program.now({ inputs, regions: { y }, steps });
      expect(floatsOf(y)[0]).toBe(want);
    }
  });

  test("shifts a window whichever way round it is told, and refuses a circle", async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const graph = new Graph();
      const window = [0, 1, 2].map((index) => graph.input(`w${index}`, "i32", [1]));
      const links = [
        [window[1]!, window[0]!],
        [window[2]!, window[1]!],
      ] as const;
      for (const index of order) graph.feedback(...links[index]!);
      const y = graph.output("y", "i32", [1]);
      graph.one("copy", [window[0]!], { into: [y] });
      using program = new Program(graph);
      using region = Region.create(4);
      const inputs = { w0: Int32Array.of(7), w1: Int32Array.of(8), w2: Int32Array.of(9) };
      for (const [steps, want] of [
        [1, 7],
        [2, 8],
        [3, 9],
        [4, 9],
      ] as const) {
        program.now({ inputs, regions: { y: region }, steps });
        expect(new Int32Array(region.bytes().buffer)[0]).toBe(want);
      }
    }
    const graph = new Graph();
    const [a, b] = [graph.input("a", "i32", [1]), graph.input("b", "i32", [1])];
    graph.feedback(a, b);
    graph.feedback(b, a);
    expect(() => new Program(graph)).toThrow("copy one of them first");
  });
});
