/** Profiles count what runs did, and draw when they did it. */
import { describe, expect, test } from "bun:test";
import { Graph, Profile, Program, type ProgramProfile, Sym } from "../../src/graph/index.ts";
import { costOf } from "../../src/graph/profile/cost.ts";
import { Region } from "../../src/native/index.ts";
import { compile, ones } from "../../src/tensor/index.ts";

/** Two Programs' measurements as they might come. */
const measured: ProgramProfile[] = [
  {
    program: "decode",
    instructions: [
      { op: "mul", shapes: "a", calls: 4, seconds: 0.002, bytes: 4e6, operations: 2e6 },
      { op: "exp", shapes: "<b>", calls: 4, seconds: 0.006, bytes: 1e6, operations: 8e6 },
      { op: "mul", shapes: "a", calls: 4, seconds: 0.002, bytes: 4e6, operations: 2e6 },
    ],
    events: [
      { instr: 1, startNs: 5_000_500, durationNs: 3000 },
      { instr: 0, startNs: 5_000_000, durationNs: 500 },
    ],
    ran: 12,
  },
  {
    program: "prefill",
    instructions: [{ op: "exp", shapes: "c", calls: 0, seconds: 0, bytes: 0, operations: 0 }],
    events: [],
    ran: 0,
  },
];

describe("a profile", () => {
  const profile = new Profile(measured);

  test("has a row for each op and shape that ran, what took most time first", () => {
    expect(profile.rows).toEqual([
      {
        ...{ program: "decode", op: "exp", shapes: "<b>", calls: 4, seconds: 0.006 },
        ...{ bytes: 1e6, operations: 8e6 },
        gigabytesPerSecond: 1e6 / 0.006 / 1e9,
        gigaflopsPerSecond: 8e6 / 0.006 / 1e9,
      },
      {
        ...{ program: "decode", op: "mul", shapes: "a", calls: 8, seconds: 0.004 },
        ...{ bytes: 8e6, operations: 4e6, gigabytesPerSecond: 2, gigaflopsPerSecond: 1 },
      },
    ]);
    expect(profile.seconds).toBe(0.01);
    expect(profile.missing).toBe(10);
  });

  test("is a table for people", () => {
    expect(String(profile).split("\n")).toEqual([
      "instruction     calls    time   share      moved  GB/s  GFLOP/s",
      "decode exp <b>      4  6.0 ms  60.0 %  976.6 KiB   0.2      1.3",
      "decode mul a        8  4.0 ms  40.0 %    7.6 MiB   2.0      1.0",
    ]);
  });

  test("is a trace of complete events in microseconds, by Program", () => {
    expect(JSON.parse(profile.chromeTrace())).toEqual({
      displayTimeUnit: "ms",
      otherData: { instructionsNotKept: 10 },
      traceEvents: [
        { ph: "M", name: "thread_name", pid: 1, tid: 1, args: { name: "decode" } },
        {
          ...{ ph: "X", name: "mul", cat: "decode", pid: 1, tid: 1, ts: 0, dur: 0.5 },
          args: { shapes: "a" },
        },
        {
          ...{ ph: "X", name: "exp", cat: "decode", pid: 1, tid: 1, ts: 0.5, dur: 3 },
          args: { shapes: "<b>" },
        },
      ],
    });
  });

  test("is a drawing with an area and a share for each op, and of nothing an empty one", () => {
    const svg = profile.toSvg("a & b");
    expect(svg.match(/<polygon/g)).toHaveLength(2);
    expect(svg).toContain("a &amp; b");
    expect(svg).toContain("exp, 6.0 ms, 60.0 %");
    expect(svg).not.toContain("NaN");
    expect(new Profile([]).toSvg()).not.toMatch(/NaN|polygon/);
    expect(String(new Profile([]))).toStartWith("instruction");
  });
});

describe("what is measured", () => {
  test("of a Program: steps as calls, bytes and operations at the sizes of each run", async () => {
    const rows = new Sym("rows", 100);
    const graph = new Graph();
    const x = graph.input("x", "f32", [rows, 8]);
    const row = graph.input("row", "f32", [8]);
    const softmax = graph.one("softmax", [x]);
    const wide = { dims: softmax.dims, strides: [0, 1] };
    graph.one("add", [softmax, row.view(wide)], { into: [graph.output("y", "f32", [rows, 8])] });
    using program = new Program(graph);
    expect(program.profile()).toBeUndefined();
    using y = Region.create(3200);
    const run = {
      inputs: { x: new Float32Array(800), row: new Float32Array(8) },
      regions: { y },
    };
    program.now({ ...run, syms: { rows: 50 } });
    program.startProfile({ events: 7 });
    program.now({ ...run, syms: { rows: 10 } });
    await program.submit({ ...run, syms: { rows: 20 }, steps: 4 });
    const { instructions, events, ran } = program.profile("p")!;
    expect(instructions.map(({ op, calls }) => [op, calls])).toEqual([
      ["softmax", 5],
      ["add", 5],
    ]);
    const elements = 10 * 8 + 4 * 20 * 8;
    expect(instructions[0]!.bytes).toBe(2 * 4 * elements);
    // The repeated row counts once a run.
    expect(instructions[1]!.bytes).toBe(2 * 4 * elements + 5 * 32);
    expect(instructions[1]!.operations).toBe(elements);
    expect(ran).toBe(10);
    expect(events.map(({ instr }) => instr)).toEqual([0, 1, 0, 1, 0, 1, 0]);
    const { spans, missing } = new Profile([program.profile("p")!]);
    expect(missing).toBe(3);
    expect(spans[0]!.start).toBe(0);
    for (const [index, span] of spans.slice(1).entries()) {
      const end = spans[index]!.start + spans[index]!.seconds;
      expect(span.start).toBeGreaterThan(end - 1e-10);
    }
  });

  test("of a compiled function: all its Programs, those that come later too", () => {
    const of = compile((x) => x.matmul(x).exp());
    of(ones([16, 16]));
    of.startProfile();
    for (const size of [16, 16, 32]) of(ones([size, size]));
    const { rows } = of.profile();
    const calls = rows.map(({ program, op, calls: count }) => [program, op, count]);
    expect(calls.sort()).toEqual([
      ["f32(16, 16)", "exp", 2],
      ["f32(16, 16)", "matmul", 2],
      ["f32(32, 32)", "exp", 1],
      ["f32(32, 32)", "matmul", 1],
    ]);
    const product = rows.find(({ program, op }) => program === "f32(32, 32)" && op === "matmul")!;
    expect([product.operations, product.bytes]).toEqual([2 * 32 ** 3, 3 * 4096]);
  });

  test("counts of tables only the rows that are looked up, and of a cache what is new", () => {
    const graph = new Graph();
    const table = graph.input("table", "f32", [1000, 16]);
    const rows = graph.input("rows", "i32", [3]);
    graph.one("gather_rows", [table, rows]);
    expect(costOf(graph.nodes[0]!, {})).toEqual({ bytes: 2 * 192 + 12, operations: 16_000 });
  });
});
