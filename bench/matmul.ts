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
import { probeMachine } from "../src/native/index.ts";
import {
  describeMachine,
  formatMachine,
  formatSummary,
  formatTable,
  measureRounds,
} from "../src/report/index.ts";
import { productFlops, productRate, productRepeats } from "./dense-product.ts";
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
  tasks[`ours ${size}`] = productRate(size, { threads, stack });
  if (numpy) tasks[`numpy ${size}`] = async () => theirs(size, numpy);
}
const measured = await measureRounds(tasks, smoke ? 1 : 5);
const peak = measured.peak!.median;
console.log(json ? JSON.stringify(report()) : describe());

async function theirs(size: number, beside: NumPy): Promise<number> {
  return (
    (1000 * productFlops(size)) /
    (await beside.time("matmul", { size, calls: productRepeats(size) }))
  );
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
