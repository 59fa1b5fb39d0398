/**
 * What does converting memory cost, beside the memory's own rate and beside plain loops?
 *
 *   bun bench/convert.ts [--threads N] [--json] [--smoke]
 *
 * Bytes read and written a second, of arrays far larger than caches, into memory that was touched
 * before. The limit is what copying moves on one thread; two threads may move more. `plain` is the
 * loop a program would write without the core. Below them the norms of a bitnet-b1.58-2B-4T and one
 * of its matrices of unequal blocks, as loading converts them. Tasks take turns; figures are
 * medians of rates.
 */
import { parseArgs } from "node:util";
import { convert, convertBatch, type PlainDType } from "../src/memory/index.ts";
import { probeMachine } from "../src/native/index.ts";
import {
  describeMachine,
  formatMachine,
  formatSummary,
  formatTable,
  measureRounds,
  rateOf,
  type Summary,
} from "../src/report/index.ts";
import { readThreads } from "./engine-runs.ts";
import { type LoadCase, loadCases, plainLoop } from "./plain-conversions.ts";

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const { smoke, json } = values;
const threads = readThreads(values.threads);
const count = smoke ? 1 << 12 : 1 << 24;

const pairs: readonly (readonly [PlainDType, PlainDType])[] = [
  ["f32", "f16"],
  ["f16", "f32"],
  ["f32", "bf16"],
  ["bf16", "f32"],
  ["f16", "bf16"],
  ["f32", "i8"],
  ["i8", "f32"],
  ["f32", "i4"],
  ["i4", "f32"],
  ["i32", "f32"],
];

const f32 = Float32Array.from({ length: count }, (_, i) => ((i * 2_654_435_761) % 8191) / 64 - 64);
const sources = new Map<PlainDType, Uint8Array>();
const target = new Uint8Array(4 * count).fill(1);
const tasks: Record<string, () => Promise<number>> = {
  read: async () =>
    probeMachine("read_bytes_per_second", { threads, seconds: smoke ? 0.001 : 0.1 }),
  copy: () => rateOf(8 * count, () => target.set(new Uint8Array(f32.buffer))),
};
for (const [from, to] of pairs) {
  const source = await sourceOf(from);
  const options = { from, to, into: target, preset: "high-performance" } as const;
  const bytes = source.byteLength + (await convert(source, options)).data.byteLength;
  const name = `${from} to ${to}`;
  tasks[name] = () => rateOf(bytes, () => convert(source, { ...options, threads }));
  tasks[`${name}, measured`] = () =>
    rateOf(bytes, () => convert(source, { ...options, threads, measure: true }));
  const loop = plainLoop(from, to);
  tasks[`${name}, plain`] = () => rateOf(bytes, () => loop(source, target, count));
}
const loads = loadCases(smoke ? 64 : 1);
for (const { name, bytes, items, plain } of loads) {
  tasks[name] = () => rateOf(bytes, () => convertBatch(items, { threads }));
  tasks[`${name}, plain`] = () => rateOf(bytes, plain);
}
const measured = await measureRounds(tasks, smoke ? 1 : 3);
const results = pairs.map(([from, to]) => resultOf(`${from} to ${to}`));
const loadResults = loads.map(loadOf);
console.log(json ? JSON.stringify(report()) : describe());

async function sourceOf(dtype: PlainDType): Promise<Uint8Array> {
  let bytes = sources.get(dtype);
  if (!bytes) {
    const { data } = await convert(f32, { from: "f32", to: dtype });
    bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    sources.set(dtype, bytes);
  }
  return bytes;
}

function median(name: string): number {
  return (measured[name] as Summary).median;
}

function resultOf(name: string) {
  const bytesPerSecond = median(name);
  return {
    name,
    bytesPerSecond,
    measuredBytesPerSecond: median(`${name}, measured`),
    plainBytesPerSecond: median(`${name}, plain`),
    shareOfCopy: bytesPerSecond / median("copy"),
    timesPlain: bytesPerSecond / median(`${name}, plain`),
  };
}

function loadOf({ name, bytes }: LoadCase) {
  const milliseconds = (bytes * 1000) / median(name);
  return { name, milliseconds, plainMilliseconds: (bytes * 1000) / median(`${name}, plain`) };
}

function report() {
  return {
    machine: describeMachine(threads),
    readBytesPerSecond: median("read"),
    copyBytesPerSecond: median("copy"),
    conversions: results,
    loading: loadResults,
  };
}

function describe(): string {
  const rate = (bytesPerSecond: number): string => (bytesPerSecond / 1e9).toFixed(1);
  const rows = results.map((result) => [
    result.name,
    formatSummary(measured[result.name]!, 1e9),
    `${(100 * result.shareOfCopy).toFixed(0)} %`,
    rate(result.measuredBytesPerSecond),
    rate(result.plainBytesPerSecond),
    result.timesPlain.toFixed(1),
  ]);
  const loading = loadResults.map(({ name, milliseconds, plainMilliseconds }) => [
    name,
    milliseconds.toFixed(2),
    plainMilliseconds.toFixed(2),
  ]);
  return [
    formatMachine(describeMachine(threads)),
    `read ${rate(median("read"))} GB/s; copying by one thread ${rate(median("copy"))} GB/s, read and written`,
    "",
    formatTable(["GB/s", "core", "of copying", "measured", "plain", "times plain"], rows),
    "",
    formatTable(["loading, ms", "core", "plain"], loading),
  ].join("\n");
}
