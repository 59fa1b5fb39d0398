/**
 * The memory pool beside glibc malloc, mimalloc and jemalloc where they are installed, from native
 * code, and what it costs from TypeScript and to watch.
 *
 *   bun bench/memory.ts [--json] [--smoke]
 *
 * Each measurement is a process of its own, all allocators in turn, medians of several rounds;
 * docs/memory.md tells what the traces are. The engine's is recorded just before. What tracking
 * costs is memory-tracking.ts's. --smoke is one short round.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { zigEnvironment } from "../scripts/setup/steps.mjs";
import { findZig } from "../scripts/setup/tools.mjs";
import { HybridMemoryPool } from "../src/memory/index.ts";
import { NativePool, packManner } from "../src/native/index.ts";
import { describeMachine, formatMachine, formatTable, summarize } from "../src/report/index.ts";
import { measureTracking } from "./memory-tracking.ts";

const rivalNames = ["glibc", "mimalloc", "jemalloc"] as const;
type Rival = (typeof rivalNames)[number];
type Entrant = "pool" | Rival | "pool_standard" | "pool_detailed";

interface Figures {
  allocateNs: number;
  freeNs: number;
  nsPerOp: number;
  residentOverLive: number;
}

interface Scenario {
  name: string;
  results: Partial<Record<Entrant, Figures>>;
}

interface Trace {
  name: string;
  nsPerOp: number;
  /** Peak of resident memory over the peak of live bytes; null where it is not measured. */
  residentOverLive: number | null;
  /** Nanoseconds an operation; null for what is not installed. */
  rivals: Record<Rival, number | null>;
  rivalsResidentOverLive: Record<Rival, number | null>;
}

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const { json, smoke } = values;
const root = join(import.meta.dir, "..");
const folder = mkdtempSync(join(tmpdir(), "bitnet-memory-"));
try {
  const result = await measure();
  console.log(json ? JSON.stringify(result) : describe(result));
} finally {
  rmSync(folder, { recursive: true });
}

async function measure() {
  const trace = join(folder, "engine.trace");
  child({ BITNET_MEMORY_TRACKING: "standard" }, "record", trace);
  const scenarios = runNative(trace);
  const named = (name: string) => scenarios.find((scenario) => scenario.name === name)!;
  return {
    small: pairOf(named("small")),
    large: pairOf(named("large")),
    traces: scenarios.map(traceOf),
    tracking: await trackingOf(named("small")),
    fromTypeScript: fromTypeScript(),
  };
}

type Result = Awaited<ReturnType<typeof measure>>;

function pairOf({ results }: Scenario): { allocateNs: number; freeNs: number } {
  const { allocateNs, freeNs } = results.pool!;
  return { allocateNs, freeNs };
}

/** In scenarios of batches an operation is either: the mean of both times. */
function traceOf({ name, results }: Scenario): Trace {
  const perOp = (figures: Figures | undefined): number | null =>
    figures === undefined ? null : figures.nsPerOp || (figures.allocateNs + figures.freeNs) / 2;
  const resident = (figures: Figures | undefined): number | null =>
    figures?.residentOverLive || null;
  const ofRivals = (read: (figures: Figures | undefined) => number | null) =>
    Object.fromEntries(rivalNames.map((rival) => [rival, read(results[rival])])) as Trace["rivals"];
  return {
    name,
    nsPerOp: perOp(results.pool)!,
    residentOverLive: resident(results.pool),
    rivals: ofRivals(perOp),
    rivalsResidentOverLive: ofRivals(resident),
  };
}

/** Builds the native bench where it is not up to date, and runs it. */
function runNative(trace: string): Scenario[] {
  const prefix = join(root, "bench/native/zig-out");
  const buildFile = join(root, "bench/native/build.zig");
  run([findZig(root)!, "build", "--build-file", buildFile, "--prefix", prefix], {
    ...zigEnvironment(root),
  });
  const amount = smoke ? ["--rounds=1", "--repeats=1"] : ["--rounds=3"];
  const bench = join(prefix, "bin/memory-bench");
  const text = run([bench, ...amount, `--trace=${trace}`], process.env);
  return (JSON.parse(text) as { scenarios: Scenario[] }).scenarios;
}

/** What watching costs a small block, and the engine's decode. */
async function trackingOf({ results }: Scenario) {
  const { pool, pool_standard: watched } = results as Required<Scenario["results"]>;
  const effort = smoke ? { pairs: 1, turns: 1 } : { pairs: 48, turns: 4 };
  const pairNs = (figures: Figures): number => figures.allocateNs + figures.freeNs;
  const cost = await measureTracking({ ...effort, nsPerBlock: pairNs(watched) - pairNs(pool) });
  return { ...cost, standardAllocateNs: watched.allocateNs, standardFreeNs: watched.freeNs };
}

/** Nanoseconds of an allocation and its free together: numbers alone, and as a block. */
function fromTypeScript(): { untrackedPairNs: number; blockPairNs: number } {
  const manner = packManner({ align: 16, tag: 0, zeroed: false, sparse: false });
  const options = { sizeMax: 0, level: "basic", debug: false, hugePages: true } as const;
  const native = NativePool.create(options);
  using pool = new HybridMemoryPool({ level: "basic" });
  const untracked = (count: number): void => {
    for (let index = 0; index < count; index += 1) {
      native.free(native.allocate(16 + (index & 511), manner, 0), 16 + (index & 511), 0);
    }
  };
  const blocks = (count: number): void => {
    for (let index = 0; index < count; index += 1) {
      pool.allocate(16 + (index & 511))[Symbol.dispose]();
    }
  };
  const figures = { untrackedPairNs: perPair(untracked), blockPairNs: perPair(blocks) };
  native.release();
  return figures;
}

function perPair(work: (count: number) => void): number {
  const count = smoke ? 1_000 : 200_000;
  work(count);
  const times = Array.from({ length: smoke ? 1 : 15 }, () => {
    const start = Bun.nanoseconds();
    work(count);
    return (Bun.nanoseconds() - start) / count;
  });
  return summarize(times).median;
}

function child(env: Record<string, string>, ...task: string[]): string {
  const script = join(import.meta.dir, "memory-child.ts");
  return run([process.execPath, script, ...task], { ...process.env, ...env });
}

function run(command: string[], env: NodeJS.ProcessEnv): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: root, env });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}${stdout}`);
  return stdout.toString();
}

function describe({ traces, small, large, tracking, fromTypeScript: ts }: Result): string {
  const ns = (value: number | null): string => (value === null ? "" : value.toFixed(1));
  const times = traces.map(({ name, nsPerOp, rivals }) => [
    name,
    ns(nsPerOp),
    ...rivalNames.map((rival) => ns(rivals[rival])),
  ]);
  const ratio = (value: number | null): string => (value === null ? "" : value.toFixed(2));
  const resident = traces
    .filter(({ residentOverLive }) => residentOverLive !== null)
    .map(({ name, residentOverLive, rivalsResidentOverLive }) => [
      name,
      ratio(residentOverLive),
      ...rivalNames.map((rival) => ratio(rivalsResidentOverLive[rival])),
    ]);
  const [low, high] = tracking.overheadQuartilesPercent;
  return [
    formatMachine(describeMachine(1)),
    "",
    formatTable(["ns an operation", "pool", ...rivalNames], times),
    "",
    formatTable(["peak resident over live", "pool", ...rivalNames], resident),
    "",
    `small: allocate ${ns(small.allocateNs)} ns, free ${ns(small.freeNs)} ns`,
    `large: allocate ${ns(large.allocateNs)} ns, free ${ns(large.freeNs)} ns`,
    `from TypeScript, allocate and free: ${ns(ts.untrackedPairNs)} ns untracked, ` +
      `${ns(ts.blockPairNs)} ns as a block`,
    `watched at standard: allocate ${ns(tracking.standardAllocateNs)} ns, ` +
      `free ${ns(tracking.standardFreeNs)} ns; ` +
      `the engine's decode ${tracking.overheadPercent.toFixed(1)} % slower ` +
      `(quartiles ${low!.toFixed(1)} and ${high!.toFixed(1)}), by count ` +
      `${tracking.countedPercent.toFixed(2)} % (${tracking.blocksPerDecode} blocks)`,
  ].join("\n");
}
