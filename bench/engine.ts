/**
 * How fast the engine decodes and reads prompts, beside what the machine can do at best.
 *
 *   bun bench/engine.ts [--geometry 2b4t|110m] [--threads N] [--precision fast|exact] [--json]
 *
 * A model of random weights in memory. Decode: 64 greedy tokens at depths 33 to 96, sampling
 * included. Prefill of N: N tokens written to an empty cache, without the head. Read bandwidth and
 * int8 peak take turns with them; figures are medians. Load: packed weights made resident and
 * Programs compiled, no file read. --smoke is one round of a tiny model.
 */
import { parseArgs } from "node:util";
import { EnginePrograms, Session } from "../src/engine/index.ts";
import { resolveSettings } from "../src/generate/index.ts";
import { coreInfo, type IsaName, type ProbeOptions, probeMachine } from "../src/native/index.ts";
import {
  describeMachine,
  formatMachine,
  formatSummary,
  formatTable,
  measureRounds,
  peakResidentBytes,
  rateOf,
  type Summary,
} from "../src/report/index.ts";
import { type GeometryName, geometries, type RandomModel, randomModel } from "./random-model.ts";

const decodeTokens = 64;
/** The prompt of a decode; its depths lie around 64. */
const decodePrompt = 33;
const prefillSizes = [128, 512] as const;
/** Depth that bytes a token are told for. */
const depth = 64;

interface Options {
  geometry: GeometryName;
  threads: number;
  precision: "fast" | "exact";
  rounds: number;
  probeSeconds: number;
}

/** What --json prints. */
interface Result {
  geometry: GeometryName;
  threads: number;
  isa: IsaName;
  precision: "fast" | "exact";
  decode: { tokensPerSecond: number; bytesPerToken: number };
  prefill: { tokens: number; tokensPerSecond: number }[];
  machine: { readBytesPerSecond: number; int8OpsPerSecond: number };
  residentBytes: number;
  loadSeconds: number;
}

type Measured = Record<"read" | "decode" | "int8" | `prefill ${number}`, Summary>;

const { values } = parseArgs({
  options: {
    geometry: { type: "string", default: "2b4t" },
    threads: { type: "string", default: "0" },
    precision: { type: "string", default: "fast" },
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const { result, measured } = await measureEngine(readOptions());
console.log(values.json ? JSON.stringify(result) : describe(result, measured));

async function measureEngine(options: Options): Promise<{ result: Result; measured: Measured }> {
  const { geometry, threads, precision } = options;
  const start = performance.now();
  using model = randomModel(geometries[geometry], precision);
  const { contextLength } = geometries[geometry];
  using programs = new EnginePrograms(model.decoder, { contextLength, precision });
  const { decode } = programs;
  programs.prefill;
  const loadSeconds = (performance.now() - start) / 1000;

  using session = new Session(programs, threads);
  // The first tokens touch the memory, and what is resident then is what generating takes; the
  // probes' own buffers come later.
  await decodeRate(session, model);
  const residentBytes = peakResidentBytes();
  const probe: ProbeOptions = { threads, seconds: options.probeSeconds };
  const tasks: Record<keyof Measured, () => number | Promise<number>> = {
    read: () => probeMachine("read_bytes_per_second", probe),
    decode: () => decodeRate(session, model),
    int8: () => probeMachine("int8_ops_per_second", probe),
  };
  for (const size of prefillSizes) {
    tasks[`prefill ${size}`] = () => prefillRate(session, model, size);
  }
  const measured: Measured = await measureRounds(tasks, options.rounds);
  const result: Result = {
    geometry,
    threads,
    isa: coreInfo().isa,
    precision,
    decode: {
      tokensPerSecond: measured.decode.median,
      bytesPerToken: decode.bytesRead({ steps: 1 }, depth),
    },
    prefill: prefillSizes.map((tokens) => ({
      tokens,
      tokensPerSecond: measured[`prefill ${tokens}`]!.median,
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

async function decodeRate(session: Session, model: RandomModel): Promise<number> {
  const tokens = model.ids(decodePrompt);
  const signal = new AbortController().signal;
  const settings = resolveSettings({ temperature: 0, seed: 1 });
  const steps = decodeTokens;
  await session.prefill(tokens);
  let made = 0;
  const onTokens = (fresh: number[]): void => {
    made += fresh.length;
  };
  const rate = await rateOf(steps, () =>
    session.decode(tokens, { settings, draws: 0, steps, signal, onTokens }),
  );
  if (made !== steps) throw new Error(`want ${steps} tokens, got ${made}`);
  return rate;
}

async function prefillRate(session: Session, model: RandomModel, count: number): Promise<number> {
  // One token more, which the first decode step would take, and none that the cache has already.
  const tokens = model.ids(count + 1);
  while (session.sharedPrefix(tokens) > 0) tokens[0] = model.ids(1)[0]!;
  return rateOf(count, () => session.prefill(tokens));
}

function readOptions(): Options {
  const { geometry, threads, precision, smoke } = values;
  if (geometry !== "2b4t" && geometry !== "110m") refuse("--geometry", "2b4t or 110m", geometry);
  if (precision !== "fast" && precision !== "exact") {
    refuse("--precision", "fast or exact", precision);
  }
  if (!/^\d+$/.test(threads) || Number(threads) > 64) refuse("--threads", "1 to 64", threads);
  return {
    geometry: smoke ? "smoke" : geometry,
    threads: Number(threads) || coreInfo().threads,
    precision,
    rounds: smoke ? 1 : 3,
    probeSeconds: smoke ? 0.001 : 0.3,
  };
}

function refuse(option: string, wanted: string, came: string): never {
  console.error(`${option}: want ${wanted}, got ${came}`);
  process.exit(2);
}

function describe(result: Result, measured: Measured): string {
  const { geometry, precision, decode, machine, prefill, residentBytes, loadSeconds } = result;
  const bytesShare = (decode.tokensPerSecond * decode.bytesPerToken) / machine.readBytesPerSecond;
  const rows = [
    ["read bandwidth", "GB/s", formatSummary(measured.read, 1e9)],
    ["int8 peak", "GOP/s", formatSummary(measured.int8, 1e9)],
    [`decode of ${decodeTokens}`, "tokens/s", formatSummary(measured.decode)],
    ["bytes a token", "MB", (decode.bytesPerToken / 1e6).toFixed(1)],
    ["share of the bandwidth", "%", (100 * bytesShare).toFixed(0)],
    ...prefill.map(({ tokens, tokensPerSecond }) => [
      `prefill of ${tokens}`,
      "tokens/s",
      `${formatSummary(measured[`prefill ${tokens}`]!)}, decode x ${(
        tokensPerSecond / decode.tokensPerSecond
      ).toFixed(1)}`,
    ]),
    ["resident peak", "MB", (residentBytes / 1e6).toFixed(0)],
    ["load", "s", loadSeconds.toFixed(2)],
  ];
  return [
    `${geometry}, ${precision}: ${formatMachine(describeMachine(result.threads))}`,
    "",
    formatTable(["what", "unit", "median"], rows),
  ].join("\n");
}
