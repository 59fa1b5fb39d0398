/** Chains of elementwise instructions become one, and no bit of what comes out changes. */
import { describe, expect, test } from "bun:test";
import { planGraph } from "../../src/graph/compile.ts";
import { encodeProgram } from "../../src/graph/encode.ts";
import { Graph, Program, Sym, type Value } from "../../src/graph/index.ts";
import { ChainOp, ChainShift, DType, NativeProgram, Region } from "../../src/native/index.ts";
import { Random } from "../checkpoint/random.ts";
import { BlobEditor } from "../native/blob-editor.ts";
import { everyOp } from "./every-op.ts";
import { everywhere } from "./everywhere.ts";
import { randomElementwise } from "./random-elementwise.ts";
import { normals } from "./reference.ts";

const dims = [4, 300];

function opsOf(graph: Graph): string[] {
  return planGraph(graph).steps.map(({ node }) => node.op);
}

describe("chains", () => {
  test("a product, a sum and a bound are one pass, told step by step", async () => {
    const graph = new Graph();
    const [x, a, b] = ["x", "a", "b"].map((name) => graph.input(name, "f32", dims));
    const sum = graph.one("add", [graph.one("mul", [x!, a!]), b!]);
    graph.one("maximum", [sum, x!], { into: [graph.output("y", "f32", dims)] });
    using program = new Program(graph);
    expect(program.explain()).toBe(
      "   0  1 y:f32(4, 300) = elementwise_chain(x:f32(4, 300), a:f32(4, 300), b:f32(4, 300))" +
        "; r0 = mul(x0, x1); r0 = add(r0, x2); r0 = maximum(r0, x0)\n" +
        "memory: arena 0 B for values of 0 B, inputs 14.1 KiB, outputs 4.7 KiB",
    );
    expect(program.memory.arena).toBe(0);
  });

  test("a value that two members read is computed once", () => {
    const graph = new Graph();
    const x = graph.input("x", "f32", dims);
    const y = graph.one("sigmoid", [x]);
    const rest = graph.one("sub", [x, y]);
    graph.one("mul", [y, rest], { into: [graph.output("y", "f32", dims)] });
    expect(opsOf(graph)).toEqual(["elementwise_chain"]);
    expect(planGraph(graph).steps[0]!.node.attrs.count).toBe(3);
  });

  test("a copy of the whole is no step, and of one instruction none is left", () => {
    const graph = new Graph();
    const x = graph.input("x", "f32", dims);
    const y = graph.one("exp", [graph.one("copy", [x])]);
    graph.one("copy", [y], { into: [graph.output("y", "f32", dims)] });
    expect(opsOf(graph)).toEqual(["exp"]);
  });

  test("casts, comparisons and choices are steps", () => {
    const graph = new Graph();
    const [x, z] = [graph.input("x", "f16", dims), graph.input("z", "f32", [1, 300])];
    const wide = graph.one("copy", [x], { dtype: "f32" });
    const limit = z.broadcast(dims);
    const chosen = graph.one("select", [graph.one("less", [wide, limit]), wide, limit]);
    graph.one("copy", [chosen], { into: [graph.output("y", "f16", dims)] });
    expect(opsOf(graph)).toEqual(["elementwise_chain"]);
  });

  test("more steps than one instruction holds become several", async () => {
    const graph = new Graph();
    let y = graph.input("x", "f32", dims);
    for (let index = 0; index < 40; index += 1) y = graph.one("neg", [y]);
    graph.one("copy", [y], { into: [graph.output("y", "f32", dims)] });
    expect(opsOf(graph)).toEqual(new Array(3).fill("elementwise_chain"));
    const content = { x: normals(1200, 3) };
    const { y: got } = await everywhere(graph, { inputs: content, fuse: true });
    expect(new Float32Array(got!.buffer)).toEqual(new Float32Array(content.x));
  });

  test("more values at a time than there are registers make a chain shorter", async () => {
    const graph = new Graph();
    const x = graph.input("x", "f32", dims);
    const ops = ["exp", "sin", "cos", "neg", "abs", "tanh", "erf", "floor"] as const;
    const values = ops.map((op) => graph.one(op, [x]));
    // A bool takes a ninth register: no float's is used over for it.
    const below = graph.one("less", [values[0]!, values[1]!]);
    let y = graph.one("select", [below, values[2]!, values[3]!]);
    for (const value of values.slice(4)) y = graph.one("add", [y, value]);
    graph.one("copy", [y], { into: [graph.output("y", "f32", dims)] });
    expect(opsOf(graph)).toEqual(["exp", "elementwise_chain"]);
    const options = { inputs: { x: normals(1200, 1) } };
    const fused = await everywhere(graph, { ...options, fuse: true });
    expect(fused).toEqual(await everywhere(graph, options));
  });

  test("an update in place is one pass over the state", async () => {
    const graph = new Graph();
    const w = graph.stateValue(graph.state("w", 4800), { dtype: "f32", dims });
    const [g, rate] = [graph.input("g", "f32", dims), graph.input("rate", "f32", [1, 1])];
    const kept = graph.one("mul", [w, graph.input("decay", "f32", [1, 1]).broadcast(dims)]);
    const step = graph.one("mul", [g, rate.broadcast(dims)]);
    graph.one("sub", [kept, step], { into: [w] });
    expect(opsOf(graph)).toEqual(["elementwise_chain"]);
    const options = {
      inputs: { g: normals(1200, 1), rate: Float32Array.of(0.1), decay: Float32Array.of(0.99) },
      states: { w: normals(1200, 2) },
    };
    const fused = await everywhere(graph, { ...options, fuse: true });
    expect(fused).toEqual(await everywhere(graph, options));
  });
});

describe("chains leave", () => {
  test("what something else reads, in part or as a whole", () => {
    const graph = new Graph();
    const x = graph.input("x", "f32", dims);
    const y = graph.one("exp", [x]);
    graph.one("softmax", [y], { into: [graph.output("s", "f32", dims)] });
    graph.one("add", [y, x], { into: [graph.output("y", "f32", dims)] });
    expect(opsOf(graph).sort()).toEqual(["add", "exp", "softmax"]);

    const part = new Graph();
    const all = part.one("exp", [part.input("x", "f32", dims)]);
    const half = all.slice(1, 0, 150);
    part.one("neg", [half], { into: [part.output("y", "f32", [4, 150])] });
    expect(opsOf(part)).toEqual(["exp", "neg"]);
  });

  test("what reads a value that changes in between", () => {
    const graph = new Graph();
    const w = graph.stateValue(graph.state("w", 4800), { dtype: "f32", dims });
    const x = graph.input("x", "f32", dims);
    const before = graph.one("mul", [w, x]);
    graph.one("copy", [x], { into: [w] });
    graph.one("add", [before, w], { into: [graph.output("y", "f32", dims)] });
    expect(opsOf(graph)).toEqual(["mul", "copy", "add"]);
  });

  test("what reads the target's memory by another view", () => {
    const graph = new Graph();
    const w = graph.stateValue(graph.state("w", 4 * 16), { dtype: "f32", dims: [4, 4] });
    const x = graph.input("x", "f32", [4, 4]);
    const turned = graph.one("add", [w.permute([1, 0]), x]);
    graph.one("mul", [turned, x], { into: [w] });
    expect(opsOf(graph)).toEqual(["add", "mul"]);
  });

  test("what is conditional, or read by a condition or a feedback", () => {
    const graph = new Graph();
    const x = graph.input("x", "i32", [1]);
    const on = graph.one("neg", [x]);
    const next = graph.one("add", [x, x]);
    const y = graph.output("y", "i32", [1]);
    graph.one("add", [x, next], { into: [y], predicate: on });
    graph.feedback(next, x);
    expect(opsOf(graph).sort()).toEqual(["add", "add", "neg"]);
  });

  test("what would keep more memory than it saves, across other work", () => {
    const graph = new Graph();
    const [a, b] = ["a", "b"].map((name) => graph.one("softmax", [graph.input(name, "f32", dims)]));
    const sum = graph.one("add", [a!, b!]);
    const later = graph.one("softmax", [graph.input("c", "f32", dims)]);
    graph.one("mul", [sum, later], { into: [graph.output("y", "f32", dims)] });
    expect(opsOf(graph)).toEqual(["softmax", "softmax", "add", "softmax", "mul"]);
  });
});

describe("random graphs of elementwise instructions", () => {
  test("give the same bits fused and not, on every level and thread count", async () => {
    for (let seed = 1; seed <= 6; seed += 1) {
      const { graph, inputs, states } = randomElementwise(new Random(seed));
      const plain = await everywhere(graph, { inputs, states });
      expect(await everywhere(graph, { inputs, states, fuse: true })).toEqual(plain);
    }
  });

  test("give the same bits fused and not, for many shapes of graphs", async () => {
    let chains = 0;
    for (let seed = 100; seed < 250; seed += 1) {
      const { graph, inputs, states } = randomElementwise(new Random(seed));
      const results = [true, false].map((fuse) => {
        using program = new Program(graph, { fuse });
        if (fuse) chains += opsOf(graph).filter((op) => op === "elementwise_chain").length;
        const regions: Record<string, Region> = {};
        for (const { name, kind, size } of graph.storages.values()) {
          if (kind === "input") continue;
          regions[name] = Region.create(size);
          const content = states[name];
          if (content) regions[name].bytes().set(new Uint8Array(content.buffer));
          else regions[name].bytes().fill(0);
        }
        program.now({ inputs, regions });
        const bytes = Object.values(regions).map((region) => Buffer.from(region.bytes()));
        for (const region of Object.values(regions)) region[Symbol.dispose]();
        return bytes;
      });
      expect(results[0]).toEqual(results[1]!);
    }
    expect(chains).toBeGreaterThan(150);
  });

  test("run with fewer rows than planned", async () => {
    const rows = new Sym("rows", 9);
    const graph = new Graph();
    const x = graph.input("x", "f32", [rows, 40]);
    const y = graph.one("exp", [graph.one("neg", [x])]);
    graph.one("add", [y, x], { into: [graph.output("y", "f32", [rows, 40])] });
    const options = { inputs: { x: normals(360, 5) }, syms: { rows: 4 } };
    const fused = await everywhere(graph, { ...options, fuse: true });
    expect(fused).toEqual(await everywhere(graph, options));
  });
});

describe("the validator", () => {
  const { graph } = everyOp().get("elementwise_chain")!;
  const blob = encodeProgram(planGraph(graph, { fuse: false }));
  const step = (fields: Partial<Record<keyof typeof ChainShift, number>>, op = 0): number =>
    Object.entries(fields).reduce(
      (word, [name, value]) => word | (value << ChainShift[name as keyof typeof ChainShift]),
      op,
    ) >>> 0;
  const f32 = DType.f32;

  function create(words: readonly number[], count = words.length): void {
    const editor = new BlobEditor(blob);
    editor.set("attr", 0, { value: count });
    for (const [index, value] of words.entries()) editor.set("attr", 1 + index, { value });
    new NativeProgram(editor.bytes, 1)[Symbol.dispose]();
  }

  test("takes steps that read what is there, in dtypes that they take", () => {
    create([step({ a: 0, b: 1, dtype: f32 }, ChainOp.add)]);
    create([
      step({ a: 0, dtype: DType.i32 }, ChainOp.copy),
      step({ a: 8, to: 1, dtype: DType.i32 }, ChainOp.neg),
      step({ a: 9, dtype: f32 }, ChainOp.copy),
    ]);
  });

  const refused: Record<string, number[]> = {
    "no steps": [],
    "an input that is not there": [step({ a: 2, dtype: f32 }, ChainOp.exp)],
    "a register that nothing wrote": [step({ a: 8, dtype: f32 }, ChainOp.exp)],
    "a register that only a later step writes": [
      step({ a: 9, dtype: f32 }, ChainOp.exp),
      step({ a: 0, to: 1, dtype: f32 }, ChainOp.exp),
    ],
    "a register beyond the last": [step({ a: 0, to: 8, dtype: f32 }, ChainOp.exp)],
    "an operation that is none": [step({ a: 0, dtype: f32 }, 31)],
    "a dtype that is none": [step({ a: 0, dtype: 15 }, ChainOp.copy)],
    "an operand too many": [step({ a: 0, b: 1, dtype: f32 }, ChainOp.exp)],
    "a result of another dtype than the output": [
      step({ a: 0, b: 1, dtype: DType.bool }, ChainOp.less),
    ],
    "an exponential of integers": [
      step({ a: 0, dtype: DType.i32 }, ChainOp.copy),
      step({ a: 8, dtype: DType.i32 }, ChainOp.exp),
      step({ a: 8, to: 1, dtype: f32 }, ChainOp.copy),
    ],
    "operands of two dtypes": [
      step({ a: 0, dtype: DType.f64 }, ChainOp.copy),
      step({ a: 0, b: 8, to: 1, dtype: f32 }, ChainOp.add),
    ],
    "a choice by numbers": [step({ a: 0, b: 0, c: 1, dtype: f32 }, ChainOp.select)],
    "a cast into the register that it reads": [
      step({ a: 0, dtype: DType.f64 }, ChainOp.copy),
      step({ a: 8, dtype: f32 }, ChainOp.copy),
    ],
    "bits that mean nothing": [step({ a: 0, b: 1, dtype: f32 }, ChainOp.add) + 2 ** 28],
  };
  for (const [what, words] of Object.entries(refused)) {
    test(`refuses ${what}`, () => {
      expect(() => create(words)).toThrow("does not fit the operation");
    });
  }

  test("refuses more steps than there may be", () => {
    const words = new Array<number>(15).fill(step({ a: 0, b: 1, dtype: f32 }, ChainOp.add));
    create(words);
    expect(() => create(words, 16)).toThrow("does not fit the operation");
  });

  test("refuses an output that overlaps an input, but not its own memory", () => {
    const overlapping = (view: (w: Value) => Value): Graph => {
      const graph = new Graph();
      const w = graph.stateValue(graph.state("w", 64), { dtype: "f32", dims: [16] });
      const from = view(w);
      const into = [from === w ? w : w.slice(0, 1, 8)];
      const attrs = everyOp().get("elementwise_chain")!.graph.nodes[0]!.attrs;
      graph.apply("elementwise_chain", [from, from], { into, attrs });
      return graph;
    };
    const compile = (graph: Graph) => new Program(graph, { fuse: false })[Symbol.dispose]();
    compile(overlapping((w) => w));
    expect(() => compile(overlapping((w) => w.slice(0, 0, 8)))).toThrow("overlaps");
  });
});
