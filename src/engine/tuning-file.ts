/**
 * What was measured on this machine, kept in a small JSON file: `{ version, machines }`, one entry
 * by processor, instruction-set level, threads and version of the core. It only ever changes speed,
 * so a file that is missing, damaged or cannot be written is no error: what it would have told is
 * measured again.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { dirname } from "node:path";
import packageFile from "../../package.json" with { type: "json" };
import type { TernaryLayout } from "../graph/index.ts";
import { abiHash, type BlockSizes, coreInfo } from "../native/index.ts";

/** The file's name in the folder of caches. */
export const tuningFileName = "tuning.json";

const version = 1;

/** Ternary weights a second that one token's product gets through, by packing. */
export type PackingRates = Readonly<Record<TernaryLayout, number>>;

/** Threads that runs of one token, and of many, are fastest with. */
export interface ThreadCounts {
  readonly decode: number;
  readonly prefill: number;
}

/** Sizes of blocks that are worth a trial, smallest first; a file may hold no others. */
export const blockCandidates = {
  ternaryColumns: [1024, 2048, 4096, 8192],
  ternarySize: [256 << 10, 512 << 10, 1 << 20, 2 << 20],
  denseColumns: [128, 256, 512, 1024],
} as const satisfies Record<keyof BlockSizes, readonly number[]>;

/** What is known of one machine and thread count. */
export interface Tuning {
  readonly packing?: PackingRates;
  readonly threads?: ThreadCounts;
  /** Where others than the core's own are faster. */
  readonly blocks?: BlockSizes;
}

/** What an entry belongs to; `threads` 0 is the core's own choice. */
export function machineKey(threads: number): string {
  const cpu = cpus()[0]?.model.trim() ?? "unknown";
  const { isa, threads: own } = coreInfo();
  const core = `${packageFile.version}-${abiHash.toString(16)}`;
  return `${cpu}, ${isa}, ${threads || own} threads, core ${core}`;
}

/** The entry of a machine; empty when there is none. */
export async function readTuning(file: string, key: string): Promise<Tuning> {
  return (await readMachines(file))[key] ?? {};
}

/** Adds to the entry of a machine, as a whole file or not at all. True when it is on disk. */
export async function writeTuning(file: string, key: string, tuning: Tuning): Promise<boolean> {
  const temporary = `${file}.${process.pid}-${randomUUID().slice(0, 8)}`;
  try {
    const machines = await readMachines(file);
    machines[key] = { ...machines[key], ...tuning };
    await mkdir(dirname(file), { recursive: true });
    await writeFile(temporary, `${JSON.stringify({ version, machines }, undefined, 2)}\n`);
    await rename(temporary, file);
    return true;
  } catch {
    await rm(temporary, { force: true }).catch(() => {});
    return false;
  }
}

async function readMachines(file: string): Promise<Record<string, Tuning>> {
  try {
    const stored: unknown = JSON.parse(await readFile(file, "utf8"));
    if (!isRecord(stored) || stored.version !== version || !isRecord(stored.machines)) return {};
    const entries = Object.entries(stored.machines).filter(([, entry]) => isRecord(entry));
    return Object.fromEntries(entries.map(([key, entry]) => [key, checked(entry as Stored)]));
  } catch {
    return {};
  }
}

type Stored = Readonly<Record<string, unknown>>;

/** The parts of an entry that make sense. */
function checked({ packing, threads, blocks }: Stored): Tuning {
  const tuning: { packing?: PackingRates; threads?: ThreadCounts; blocks?: BlockSizes } = {};
  if (isRecord(packing) && isRate(packing.tile2) && isRate(packing.tile3)) {
    tuning.packing = { tile2: packing.tile2, tile3: packing.tile3 };
  }
  if (isRecord(threads) && isCount(threads.decode) && isCount(threads.prefill)) {
    tuning.threads = { decode: threads.decode, prefill: threads.prefill };
  }
  if (isRecord(blocks)) {
    const sizes = Object.entries(blockCandidates).flatMap(([name, candidates]) => {
      const size = blocks[name];
      return candidates.some((candidate) => candidate === size) ? [[name, size]] : [];
    });
    if (sizes.length > 0) tuning.blocks = Object.fromEntries(sizes);
  }
  return tuning;
}

function isRecord(value: unknown): value is Stored {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isRate(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 64;
}
