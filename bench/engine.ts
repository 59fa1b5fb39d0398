/**
 * How fast the engine decodes and reads prompts, beside what the machine can do at best.
 *
 *   bun bench/engine.ts [--geometry 2b4t|110m] [--threads N] [--precision fast|exact]
 *       [--packing tile2|tile3] [--json]
 *
 * A model of random weights in memory. Decode: 64 greedy tokens at depths 33 to 96, sampling
 * included. Prefill of N: N tokens written to an empty cache, without the head. Read bandwidth and
 * int8 peak take turns with them; figures are medians. Load: packed weights made resident and
 * Programs compiled, no file read. --smoke is one round of a tiny model.
 */
import type { TernaryLayout } from "../src/graph/index.ts";
import { coreInfo, type IsaName, type ProbeOptions, probeMachine } from "../src/native/index.ts";
import {
  describeMachine,
  formatMachine,
  formatSummary,
  formatTable,
  measureRounds,
  peakResidentBytes,
  type Summary,
} from "../src/report/index.ts";
import { decodeTokens, type EngineOptions, EngineRuns, readEngineOptions } from "./engine-runs.ts";
import type { GeometryName } from "./random-model.ts";

const prefillSizes = [128, 512] as const;
/** Depth that bytes a token are told for. */
const depth = 64;

/** What --json prints. */
interface Result {
  geometry: GeometryName;
  threads: number;
  isa: IsaName;
  precision: "fast" | "exact";
  packing: TernaryLayout;
  decode: { tokensPerSecond: number; bytesPerToken: number };
  prefill: { tokens: number; tokensPerSecond: number }[];
  machine: { readBytesPerSecond: number; int8OpsPerSecond: number };
  residentBytes: number;
  loadSeconds: number;
}

type TaskName = "read" | "decode" | "int8" | `prefill ${(typeof prefillSizes)[number]}`;
type Measured = Record<TaskName, Summary>;

const options = readEngineOptions();
const { result, measured } = await measureEngine(options);
console.log(options.json ? JSON.stringify(result) : describe(result, measured));

async function measureEngine(wanted: EngineOptions): Promise<{
  result: Result;
  measured: Measured;
}> {
  const { geometry, threads, precision, packing, smoke } = wanted;
  const start = performance.now();
  using runs = new EngineRuns(wanted);
  const loadSeconds = (performance.now() - start) / 1000;
  // The first tokens touch the memory, and what is resident then is what generating takes; the
  // probes' own buffers come later.
  await runs.decode();
  const residentBytes = peakResidentBytes();

  const probe: ProbeOptions = { threads, seconds: smoke ? 0.001 : 0.3 };
  const measured = await measureRounds<TaskName>(
    {
      read: () => probeMachine("read_bytes_per_second", probe),
      decode: () => runs.decode(),
      int8: () => probeMachine("int8_ops_per_second", probe),
      "prefill 128": () => runs.prefill(128),
      "prefill 512": () => runs.prefill(512),
    },
    smoke ? 1 : 3,
  );
  const result: Result = {
    geometry,
    threads,
    isa: coreInfo().isa,
    precision,
    packing,
    decode: {
      tokensPerSecond: measured.decode.median,
      bytesPerToken: await runs.bytesPerToken(depth),
    },
    prefill: prefillSizes.map((tokens) => ({
      tokens,
      tokensPerSecond: measured[`prefill ${tokens}`].median,
    })),
    machine: {
      readBytesPerSecond: measured.read.median,
      int8OpsPerSecond: measured.int8.median,
    },
    residentBytes,
    loadSeconds,
  };
  return { result, measured };
}

function describe(result: Result, summaries: Measured): string {
  const { geometry, threads, precision, packing, decode, machine, prefill } = result;
  const share = (decode.tokensPerSecond * decode.bytesPerToken) / machine.readBytesPerSecond;
  const rows = [
    ["read bandwidth", "GB/s", formatSummary(summaries.read, 1e9)],
    ["int8 peak", "GOP/s", formatSummary(summaries.int8, 1e9)],
    [`decode of ${decodeTokens}`, "tokens/s", formatSummary(summaries.decode)],
    ["bytes a token", "MB", (decode.bytesPerToken / 1e6).toFixed(1)],
    ["share of the bandwidth", "%", (100 * share).toFixed(0)],
  ];
  for (const tokens of prefillSizes) {
    rows.push([`prefill of ${tokens}`, "tokens/s", formatSummary(summaries[`prefill ${tokens}`])]);
  }
  const gain = prefill.at(-1)!.tokensPerSecond / decode.tokensPerSecond;
  rows.push(
    [`prefill of ${prefillSizes.at(-1)} over decode`, "times", gain.toFixed(1)],
    ["resident peak", "MB", (result.residentBytes / 1e6).toFixed(0)],
    ["load", "s", result.loadSeconds.toFixed(2)],
  );
  return [
    `${geometry}, ${precision}, ${packing}: ${formatMachine(describeMachine(threads))}`,
    "",
    formatTable(["what", "unit", "median"], rows),
  ].join("\n");
}
