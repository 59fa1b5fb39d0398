/**
 * Settings that only change speed, found by measuring: how ternary weights are packed, how many
 * threads a run of one token and a run of many take, and into what blocks products are cut. Results
 * have the same bits whatever is chosen.
 */
import { BitNetError } from "../errors/index.ts";
import { packedSize, type TernaryLayout } from "../graph/index.ts";
import { type ModelPlan, matrixRoles, matrixShape } from "../models/index.ts";
import { type BlockSizes, coreInfo, setBlockSizes } from "../native/index.ts";
import { type BlockTrial, measureBlocks } from "./block-trial.ts";
import { measureDecode, measurePrefill, type TrialOptions } from "./packing-trial.ts";
import {
  machineKey,
  type PackingRates,
  readTuning,
  type ThreadCounts,
  writeTuning,
} from "./tuning-file.ts";

/** Ternary weights that may lie in caches: there unpacking is what counts, and two bits win. */
const smallModelSize = 32 << 20;
/** Base 3 has to be so much faster to be chosen. */
const gainMin = 1.03;
/** Of the passes in a first load's trial; making its memory ready takes as long again. */
const trialSeconds = 0.05;

export interface PackingChoice {
  /** `auto` measures once a machine; the others force one. */
  packing?: TernaryLayout | "auto" | undefined;
  /** Threads of the runs; 0 is the core's own choice. */
  threads: number;
  /** Where what was measured is kept; without it, for this process alone. */
  tuningFile?: string | undefined;
}

/** Trials of this process, by machine key: loads at the same time share one. */
const trials = new Map<string, Promise<PackingRates>>();

/** How the ternary matrices of a model are best packed here. */
export async function choosePacking(
  plan: Pick<ModelPlan, "config">,
  { packing = "auto", threads, tuningFile }: PackingChoice,
): Promise<TernaryLayout> {
  if (packing !== "auto") return packing;
  if (ternarySize(plan) < smallModelSize) return "tile2";
  const key = machineKey(threads);
  const stored = tuningFile === undefined ? {} : await readTuning(tuningFile, key);
  if (stored.packing) return faster(stored.packing);
  const started = trials.get(key);
  const trial = started ?? measureDecode({ threads, seconds: trialSeconds });
  trials.set(key, trial);
  try {
    const rates = await trial;
    if (!started && tuningFile !== undefined)
      await writeTuning(tuningFile, key, { packing: rates });
    return faster(rates);
  } catch {
    // Memory for a trial may be missing where the model itself still fits.
    trials.delete(key);
    return "tile2";
  }
}

/** @throws BitNetError `engine/invalid-option` */
export function checkPacking(packing: PackingChoice["packing"]): void {
  if (packing === undefined || ["auto", "tile2", "tile3"].includes(packing)) return;
  throw new BitNetError(
    "engine/invalid-option",
    `packing: want "auto", "tile2" or "tile3", got ${JSON.stringify(packing)}`,
  );
}

/** Bytes of a model's ternary matrices at two bits. */
function ternarySize({ config }: Pick<ModelPlan, "config">): number {
  const sizes = matrixRoles.map((role) => packedSize("tile2", ...matrixShape(config, role)));
  return config.layerCount * sizes.reduce((sum, size) => sum + size, 0);
}

function faster({ tile2, tile3 }: PackingRates): TernaryLayout {
  return tile3 > gainMin * tile2 ? "tile3" : "tile2";
}

/** What `tune` measured with one count of threads. */
export interface TunedThreads {
  threads: number;
  /** Weights a second of one token. */
  decode: PackingRates;
  /** Multiply-adds a second of 128 tokens. */
  prefill: number;
}

export interface TuneResult {
  packing: TernaryLayout;
  threads: ThreadCounts;
  /** Those that are clearly faster than the core's own. */
  blocks: BlockSizes;
  measured: TunedThreads[];
  measuredBlocks: BlockTrial[];
  /** Whether the file could be written. */
  stored: boolean;
}

export interface TuneOptions {
  tuningFile: string;
  /** Of each measurement; 0.3 by default. */
  seconds?: number;
  /** Bytes of weights of each measurement; for tests. */
  size?: number;
  /** Called after each count of threads. */
  onMeasured?: (row: TunedThreads) => void;
}

/** Gains below this are noise, and fewer threads leave more to others. */
const threadGainMin = 1.02;

/**
 * Measures packings, thread counts and blocks and keeps what is fastest, for loads that leave them
 * open. The fewest threads win that are within 2 % of the best. No run may be under way.
 */
export async function tune(options: TuneOptions): Promise<TuneResult> {
  const { tuningFile, seconds = 0.3, size, onMeasured } = options;
  const measured: TunedThreads[] = [];
  for (const threads of threadCandidates(coreInfo().threads)) {
    const trial: TrialOptions = { threads, seconds, ...(size !== undefined && { size }) };
    const decode = await measureDecode(trial);
    const row = { threads, decode, prefill: await measurePrefill(trial) };
    measured.push(row);
    onMeasured?.(row);
  }
  const decodeBest = fewestOf(measured, ({ decode }) => Math.max(decode.tile2, decode.tile3));
  const prefillBest = fewestOf(measured, ({ prefill }) => prefill);
  const threads = { decode: decodeBest.threads, prefill: prefillBest.threads };
  const measuredBlocks = await measureBlocks({ threads: threads.prefill, seconds, size });
  const blocks = Object.assign({}, ...measuredBlocks.map(({ chosen }) => chosen)) as BlockSizes;
  setBlockSizes(blocks);
  const tuning = { packing: decodeBest.decode, threads, blocks };
  const stored = await writeTuning(tuningFile, machineKey(0), tuning);
  const packing = faster(decodeBest.decode);
  return { packing, threads, blocks, measured, measuredBlocks, stored };
}

/** Cuts products as `tune` found best here; without a file, as they are cut already. */
export async function useTunedBlocks(tuningFile: string | undefined): Promise<void> {
  if (tuningFile === undefined) return;
  const { blocks } = await readTuning(tuningFile, machineKey(0));
  if (blocks) setBlockSizes(blocks);
}

/** Threads of runs where the caller left them open: as tuned, or all the same. */
export async function tunedThreads(
  threads: number,
  tuningFile: string | undefined,
): Promise<ThreadCounts> {
  const own = { decode: threads, prefill: threads };
  if (threads !== 0 || tuningFile === undefined) return own;
  return (await readTuning(tuningFile, machineKey(0))).threads ?? own;
}

/** All, three quarters, half and so on down to one. */
function threadCandidates(all: number): number[] {
  const counts = new Set<number>();
  for (let count = all; count >= 1; count = Math.floor(count / 2)) {
    counts.add(count);
    if (count >= 4) counts.add(Math.floor((3 * count) / 4));
  }
  return [...counts].sort((a, b) => a - b);
}

function fewestOf(
  rows: readonly TunedThreads[],
  rateOf: (row: TunedThreads) => number,
): TunedThreads {
  const best = Math.max(...rows.map(rateOf));
  return rows.find((row) => rateOf(row) * threadGainMin >= best)!;
}
