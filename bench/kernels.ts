/**
 * How near the machine's limits each heavy kernel comes, as a Program of one instruction.
 *
 *   bun bench/kernels.ts [--threads N] [--json] [--smoke]
 *
 * One row reads its weights once, from memory: its limit is read bandwidth. Many rows reuse them:
 * for integers the limit is the int8 peak; for floats none is measured, and the rate stands alone.
 * Attention at small depths reads from caches and may pass the bandwidth. Cases and probes take
 * turns; figures are medians of a step, barrier and bookkeeping included.
 */
import { parseArgs } from "node:util";
import { probeMachine } from "../src/native/index.ts";
import {
  describeMachine,
  formatMachine,
  formatSummary,
  formatTable,
  measureRounds,
  type Summary,
} from "../src/report/index.ts";
import { readThreads } from "./engine-runs.ts";
import { type KernelCase, KernelCases } from "./kernel-cases.ts";

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const { smoke, json } = values;
const threads = readThreads(values.threads);
/** A sample takes about this long, so that handing a run over does not count. */
const sampleSeconds = smoke ? 0.001 : 0.1;
const probe = { threads, seconds: smoke ? 0.001 : 0.2 };

using cases = new KernelCases(smoke ? 16 : 1);
const tasks: Record<string, () => number | Promise<number>> = {
  read: () => probeMachine("read_bytes_per_second", probe),
  int8: () => probeMachine("int8_ops_per_second", probe),
};
for (const kernel of cases.all) {
  const steps = await stepsFor(kernel);
  tasks[kernel.name] = async () => (await stepSeconds(kernel, steps)) * 1e6;
}
const measured = await measureRounds(tasks, smoke ? 1 : 5);
const limits = { memory: measured.read!.median, int8: measured.int8!.median };
const results = cases.all.map((kernel) => resultOf(kernel, measured[kernel.name]!));
console.log(json ? JSON.stringify(report()) : describe());

/** How many steps fill a sample. The first run touches the memory, the second counts. */
async function stepsFor(kernel: KernelCase): Promise<number> {
  await stepSeconds(kernel, 1);
  const seconds = await stepSeconds(kernel, 1);
  return Math.max(1, Math.min(1 << 16, Math.round(sampleSeconds / seconds)));
}

async function stepSeconds({ program, run }: KernelCase, steps: number): Promise<number> {
  const start = performance.now();
  await program.submit({ ...run, steps, threads });
  return (performance.now() - start) / 1000 / steps;
}

function resultOf({ name, amount, limit }: KernelCase, microseconds: Summary) {
  const perSecond = (amount * 1e6) / microseconds.median;
  const share = limit === "float" ? null : perSecond / limits[limit];
  return { name, limit, microseconds, perSecond, share };
}

function report() {
  return {
    machine: describeMachine(threads),
    readBytesPerSecond: limits.memory,
    int8OpsPerSecond: limits.int8,
    kernels: results.map(({ name, limit, microseconds, perSecond, share }) => ({
      name,
      limit,
      microseconds: microseconds.median,
      [limit === "memory" ? "bytesPerSecond" : "opsPerSecond"]: perSecond,
      share,
    })),
  };
}

function describe(): string {
  const rows = results.map(({ name, limit, microseconds, perSecond, share }) => [
    name,
    formatSummary(microseconds),
    `${(perSecond / 1e9).toFixed(1)} ${limit === "memory" ? "GB/s" : "GOP/s"}`,
    share === null ? "" : `${(100 * share).toFixed(0)} %`,
  ]);
  return [
    formatMachine(describeMachine(threads)),
    `read ${formatSummary(measured.read!, 1e9)} GB/s, int8 ${formatSummary(measured.int8!, 1e9)} GOP/s`,
    "",
    formatTable(["kernel", "microseconds", "rate", "of the limit"], rows),
  ].join("\n");
}
