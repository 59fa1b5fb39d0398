/**
 * How near the f32 peak does a dense matrix product come, and how does NumPy do beside it?
 *
 *   bun bench/matmul.ts [--threads N] [--json] [--smoke]
 *
 * Square f32 matrices, row by row, as Programs of one instruction. The peak is measured in the
 * same run: fused multiply-adds in registers. NumPy (OpenBLAS) has as many threads and its turn in
 * each round; it is left out by --smoke and where PyPI cannot be reached.
 */
import { parseArgs } from "node:util";
import { Graph, Program } from "../src/graph/index.ts";
import { probeMachine, Region } from "../src/native/index.ts";
import {
  describeMachine,
  formatMachine,
  formatSummary,
  formatTable,
  measureRounds,
} from "../src/report/index.ts";
import { readThreads } from "./engine-runs.ts";
import { NumPy } from "./numpy.ts";

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const { smoke, json } = values;
const threads = readThreads(values.threads);
const sizes = smoke ? [32] : [64, 256, 512, 2048];

using stack = new DisposableStack();
const numpy = smoke
  ? null
  : stack.adopt(await NumPy.start(threads), (it) => it?.[Symbol.dispose]());
const tasks: Record<string, () => number | Promise<number>> = {
  peak: () => probeMachine("f32_flops_per_second", { threads, seconds: smoke ? 0.001 : 0.1 }),
};
for (const size of sizes) {
  tasks[`ours ${size}`] = product(size);
  if (numpy) tasks[`numpy ${size}`] = async () => theirs(size, numpy);
}
const measured = await measureRounds(tasks, smoke ? 1 : 5);
const peak = measured.peak!.median;
console.log(json ? JSON.stringify(report()) : describe());

function flops(size: number): number {
  return 2 * size ** 3;
}

async function theirs(size: number, beside: NumPy): Promise<number> {
  return (1000 * flops(size)) / (await beside.time("matmul", { size, calls: repeats(size) }));
}

function repeats(size: number): number {
  return Math.max(1, Math.min(1000, Math.round(2e10 / flops(size))));
}

/** Operations a second of ours: one run of several steps, so that handing it over counts little. */
function product(size: number): () => Promise<number> {
  const graph = new Graph();
  const region = stack.use(Region.create(2 * 4 * size * size));
  const elements = new Float32Array(region.bytes().buffer);
  for (let at = 0; at < elements.length; at += 1) elements[at] = ((at * 7919) % 1000) / 500 - 1;
  const factor = (offset: number) =>
    graph.constant({ region, offset, dtype: "f32", layout: "strided", shape: [size, size] });
  const into = [graph.output("c", "f32", [size, size])];
  graph.one("matmul", [factor(0), factor(4 * size * size)], { into });
  const program = stack.use(new Program(graph));
  const c = stack.use(Region.create(4 * size * size));
  const steps = repeats(size);
  return async () => {
    await program.submit({ regions: { c }, steps: 1, threads });
    const start = performance.now();
    await program.submit({ regions: { c }, steps, threads });
    return (1000 * steps * flops(size)) / (performance.now() - start);
  };
}

function report() {
  return {
    machine: describeMachine(threads),
    peakFlopsPerSecond: peak,
    numpy: numpy?.version ?? null,
    sizes: sizes.map((size) => {
      const ours = measured[`ours ${size}`]!.median;
      const theirs = measured[`numpy ${size}`]?.median ?? null;
      return {
        size,
        flopsPerSecond: ours,
        shareOfPeak: ours / peak,
        numpyFlopsPerSecond: theirs,
        ratio: theirs === null ? null : ours / theirs,
      };
    }),
  };
}

function describe(): string {
  const rows = report().sizes.map(({ size, shareOfPeak, ratio }) => [
    size,
    formatSummary(measured[`ours ${size}`]!, 1e9),
    `${(100 * shareOfPeak).toFixed(0)} %`,
    measured[`numpy ${size}`] ? formatSummary(measured[`numpy ${size}`]!, 1e9) : "",
    ratio === null ? "" : ratio.toFixed(2),
  ]);
  return [
    formatMachine(describeMachine(threads)),
    `f32 peak ${formatSummary(measured.peak!, 1e9)} GFLOP/s; NumPy ${numpy?.version ?? "absent"}`,
    "",
    formatTable(["size", "GFLOP/s", "of the peak", "NumPy GFLOP/s", "ours / NumPy"], rows),
  ].join("\n");
}
