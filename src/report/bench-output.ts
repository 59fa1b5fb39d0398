/** A model's measurements in the formats of llama-bench: md, csv, json, jsonl. */
import { formatSize } from "../engine/index.ts";
import { formatMachine, type MachineDescription } from "./machine.ts";
import type { BenchTest, ModelBench } from "./model-bench.ts";
import { formatSummary } from "./statistics.ts";
import { formatTable } from "./table.ts";

export const benchFormats = ["md", "csv", "json", "jsonl"] as const;
export type BenchFormat = (typeof benchFormats)[number];

/** The whole output. Field names of csv and json are llama-bench's where it has the same. */
export function formatBench(
  bench: ModelBench,
  machine: MachineDescription,
  format: BenchFormat,
): string {
  if (format === "md") return markdown(bench, machine);
  const records = bench.tests.map((test) => recordOf(bench, test, machine));
  if (format === "json") return JSON.stringify(records, null, 2);
  if (format === "jsonl") return records.map((one) => JSON.stringify(one)).join("\n");
  const header = Object.keys(records[0]!).filter((key) => key !== "samples_ts");
  const lines = records.map((one) =>
    header.map((key) => csvCell(one[key as keyof typeof one])).join(","),
  );
  return [header.join(","), ...lines].join("\n");
}

function markdown(bench: ModelBench, machine: MachineDescription): string {
  const { family, name, fileBytes, parameters, precision, packing } = bench;
  const header = ["model", "size", "params", "backend", "threads", "test", "t/s", "of limit"];
  const rows = bench.tests.map(({ threads, test, tokensPerSecond, limit, limitShare }) => [
    `${family} ${name}`,
    formatSize(fileBytes),
    `${(parameters / (parameters >= 1e9 ? 1e9 : 1e6)).toFixed(2)} ${parameters >= 1e9 ? "B" : "M"}`,
    machine.isa,
    threads,
    test,
    formatSummary(tokensPerSecond),
    `${(100 * limitShare).toFixed(0)} % ${limit}`,
  ]);
  const limits = Object.entries(bench.limits).map(([threads, { read, int8 }]) => {
    const rates = `memory ${formatSummary(read, 1e9)} GB/s, int8 ${formatSummary(int8, 1e9)} GOP/s`;
    return `limits measured between, ${threads} threads: ${rates}`;
  });
  const cache = precision === "fast" ? "f16" : "f32";
  const head = precision === "fast" ? "int8" : "as stored";
  return [
    formatTable(header, rows),
    "",
    ...limits,
    `${precision}: head ${head}, cache ${cache}, weights ${packing}, ` +
      `${bench.heads} heads over ${bench.keyValueHeads}; loaded in ${bench.loadSeconds.toFixed(2)} s`,
    formatMachine(machine),
  ].join("\n");
}

function recordOf(bench: ModelBench, one: BenchTest, machine: MachineDescription) {
  const { samples, tokensPerSecond, threads } = one;
  const mean = samples.reduce((sum, rate) => sum + rate, 0) / samples.length;
  const squares = samples.reduce((sum, rate) => sum + (rate - mean) ** 2, 0);
  const cache = bench.precision === "fast" ? "f16" : "f32";
  return {
    build_commit: machine.commit,
    build_version: machine.version,
    cpu_info: machine.cpu,
    backends: machine.isa,
    model_filename: bench.name,
    model_type: bench.family,
    model_size: bench.fileBytes,
    model_n_params: bench.parameters,
    n_threads: threads,
    type_k: cache,
    type_v: cache,
    precision: bench.precision,
    packing: bench.packing,
    n_prompt: one.prompt,
    n_gen: one.generation,
    n_depth: one.depth,
    test: one.test,
    avg_ts: mean,
    stddev_ts: samples.length > 1 ? Math.sqrt(squares / (samples.length - 1)) : 0,
    median_ts: tokensPerSecond.median,
    limit: one.limit,
    limit_share: one.limitShare,
    read_bytes_per_second: bench.limits[threads]!.read.median,
    int8_ops_per_second: bench.limits[threads]!.int8.median,
    load_seconds: bench.loadSeconds,
    samples_ts: samples,
  };
}

function csvCell(value: unknown): string {
  const text = value === null ? "" : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
