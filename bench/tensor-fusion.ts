/**
 * What does fusing chains of elementwise instructions gain, and what does it cost to compile?
 *
 *   bun bench/tensor-fusion.ts [--threads N] [--json] [--smoke]
 *
 * Each expression as a Program with the passes and without, on the same memory, in turns: medians
 * of milliseconds a run. Compiling is that of a small expression, recorded anew each time.
 */
import { parseArgs } from "node:util";
import { Graph, Program, type Value } from "../src/graph/index.ts";
import { Region } from "../src/native/index.ts";
import {
  describeMachine,
  formatMachine,
  formatTable,
  measureRounds,
  type Summary,
} from "../src/report/index.ts";
import { readThreads } from "./engine-runs.ts";

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const threads = readThreads(values.threads);
const rounds = values.smoke ? 1 : 7;

/** Records an expression of an f32 matrix x and a row a. */
type Expression = (graph: Graph, x: Value, a: Value) => Value;

const expressions: Record<string, Expression> = {
  "relu(x * a + a)": (graph, x, a) => {
    const sum = graph.one("add", [graph.one("mul", [x, a]), a]);
    return graph.one("maximum", [sum, numberOf(graph, "zero", x)]);
  },
  "x * sigmoid(x)": (graph, x) => graph.one("mul", [x, graph.one("sigmoid", [x])]),
  "x < a ? x * x : a": (graph, x, a) =>
    graph.one("select", [graph.one("less", [x, a]), graph.one("mul", [x, x]), a]),
  "ten products": (graph, x, a) => {
    let y = x;
    for (let index = 0; index < 10; index += 1) y = graph.one("mul", [y, a]);
    return y;
  },
};

function numberOf(graph: Graph, name: string, like: Value): Value {
  return graph.input(name, "f32", []).broadcast(like.dims);
}

interface Case {
  name: string;
  elements: number;
  milliseconds(isFused: boolean): Promise<number>;
}

const stack = new DisposableStack();
const sizes = values.smoke ? [64, 4000] : [64, 100_000, 1_000_000, 10_000_000];
const cases: Case[] = sizes.flatMap((elements) =>
  Object.keys(expressions).map((name) => caseOf(name, elements)),
);
const tasks: Record<string, () => Promise<number>> = {};
cases.forEach((one, index) => {
  for (const isFused of [true, false]) {
    tasks[`${index} ${isFused}`] = () => one.milliseconds(isFused);
  }
});
for (const isFused of [true, false]) tasks[`compile ${isFused}`] = () => compileTime(isFused);
const measured = await measureRounds(tasks, rounds);
const results = cases.map(({ name, elements }, index) => {
  const [fused, separate] = [true, false].map((one) => measured[`${index} ${one}`]!.median);
  return { name, elements, fusedMs: fused!, separateMs: separate!, ratio: separate! / fused! };
});
const compile = { fused: measured["compile true"]!, separate: measured["compile false"]! };
stack.dispose();
console.log(values.json ? JSON.stringify(report()) : describe());

function record(name: string, elements: number): Graph {
  const graph = new Graph();
  const rows = Math.max(1, elements / 1000);
  const dims = [rows, elements / rows];
  const x = graph.stateValue(graph.state("x", elements * 4), { dtype: "f32", dims });
  const a = graph.input("a", "f32", [1, dims[1]!]).broadcast(dims);
  const y = expressions[name]!(graph, x, a);
  graph.one("copy", [y], { into: [graph.output("y", "f32", dims)] });
  return graph;
}

function caseOf(name: string, elements: number): Case {
  const programs = [true, false].map((fuse) =>
    stack.use(new Program(record(name, elements), { fuse })),
  );
  const [x, y] = [elements, elements].map((count) => stack.use(Region.create(count * 4)));
  new Float32Array(x!.bytes().buffer).forEach((_, index, all) => {
    all[index] = (index % 17) / 17;
  });
  const inputs: Record<string, Float32Array> = { a: new Float32Array(elements).fill(0.9) };
  if (name.startsWith("relu")) inputs.zero = Float32Array.of(0);
  inputs.a = inputs.a!.subarray(0, elements / Math.max(1, elements / 1000));
  // Steps of one run, so that asking for it costs little.
  const steps = Math.max(1, Math.min(2000, Math.ceil(4_000_000 / elements)));
  const run = { inputs, regions: { x: x!, y: y! }, threads, steps };
  return {
    name,
    elements,
    async milliseconds(isFused) {
      const program = programs[isFused ? 0 : 1]!;
      const start = performance.now();
      await program.submit(run);
      return (performance.now() - start) / steps;
    },
  };
}

/** Microseconds to record and compile a small expression. */
async function compileTime(fuse: boolean): Promise<number> {
  const repeats = values.smoke ? 2 : 200;
  const start = performance.now();
  for (let left = repeats; left > 0; left -= 1) {
    new Program(record("relu(x * a + a)", 64), { fuse })[Symbol.dispose]();
  }
  return (1000 * (performance.now() - start)) / repeats;
}

function report() {
  const median = ({ median: microseconds }: Summary): number => microseconds;
  return {
    machine: describeMachine(threads),
    expressions: results,
    compileMicroseconds: { fused: median(compile.fused), separate: median(compile.separate) },
  };
}

function describe(): string {
  const rows = results.map(({ name, elements, fusedMs, separateMs, ratio }) => [
    name,
    elements,
    separateMs.toPrecision(3),
    fusedMs.toPrecision(3),
    `${ratio.toFixed(2)} x`,
  ]);
  const head = ["expression", "elements", "separate ms", "one pass ms", "gain"];
  return [
    formatMachine(describeMachine(threads)),
    formatTable(head, rows),
    `compiling: ${compile.separate.median.toFixed(0)} µs without passes, ` +
      `${compile.fused.median.toFixed(0)} µs with`,
  ].join("\n");
}
