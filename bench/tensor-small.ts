/**
 * What does an operation on a small tensor cost?
 *
 *   bun bench/tensor-small.ts [--json] [--smoke]
 *
 * Additions of 8x8 f32, in turns: recorded one by one and run by the hundred; each computed at once
 * and given back; as a compiled function; within a compiled Program of 64 that cannot be fused, by
 * the addition; a plain loop over typed arrays; NumPy, when Python and PyPI can be reached.
 */
import { parseArgs } from "node:util";
import {
  describeMachine,
  formatMachine,
  formatSummary,
  formatTable,
  measureRounds,
} from "../src/report/index.ts";
import { compile, type Tensor, uniform } from "../src/tensor/index.ts";
import { NumPy } from "./numpy.ts";

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const { smoke } = values;
const size = 8;
const inProgram = 64;
const calls = smoke ? 10 : 20_000;

const x = uniform([size, size], { seed: 1 });
const y = uniform([size, size], { seed: 2 });
const one = compile((a, b) => a.add(b));
// Each reads the one before it turned, so that no two are done in one pass.
const many = compile((a, b) => {
  let sum = a;
  for (let index = 0; index < inProgram; index += 1) sum = sum.transpose().add(b);
  return sum;
});
const chain = compile((a, b) => {
  let sum = a;
  for (let index = 0; index < inProgram; index += 1) sum = sum.add(b);
  return sum;
});
const plain = [1, 2, 3].map(() => new Float32Array(size * size).fill(1));
using numpy = smoke ? null : await NumPy.start(describeMachine().threads);

const tasks: Record<string, () => number | Promise<number>> = {
  recorded: () => nanoseconds(calls, () => x.add(y)),
  "computed at once": () => nanoseconds(calls, () => computed(x.add(y))),
  "compiled function": () => nanoseconds(calls, () => one(x, y)[Symbol.dispose]()),
  "in a Program": () => nanoseconds(calls / 10, () => many(x, y)[Symbol.dispose]()) / inProgram,
  "in a Program, fused": () =>
    nanoseconds(calls / 10, () => chain(x, y)[Symbol.dispose]()) / inProgram,
  "plain loop": () => nanoseconds(calls, addPlain),
};
if (numpy) {
  tasks.numpy = async () =>
    1e6 * (await numpy.time("add_small", { size: size * size, calls: 20_000 }));
}
const measured = await measureRounds(tasks, smoke ? 1 : 7);
if (values.json) {
  const entries = Object.entries(measured).map(([name, { median }]) => [name, median]);
  console.log(
    JSON.stringify({ machine: describeMachine(), nanoseconds: Object.fromEntries(entries) }),
  );
} else {
  const rows = Object.entries(measured).map(([name, time]) => [name, formatSummary(time)]);
  console.log(
    `${formatMachine(describeMachine())}\n\n${formatTable(["8x8 f32 addition", "ns"], rows)}`,
  );
}

function computed(result: Tensor): void {
  using made = result;
  using first = made.at(0, 0);
  first.item();
}

function addPlain(): void {
  const [a, b, sum] = plain as [Float32Array, Float32Array, Float32Array];
  for (let index = 0; index < sum.length; index += 1) sum[index] = a[index]! + b[index]!;
}

function nanoseconds(count: number, work: () => void): number {
  work();
  const start = performance.now();
  for (let call = 0; call < count; call += 1) work();
  return ((performance.now() - start) * 1e6) / count;
}
