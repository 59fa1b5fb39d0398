/**
 * What came since a moment and is still there: in the engine's pool and in every pool of this
 * thread. For test runners: made before a test file runs, asked behind it.
 *
 * @example
 * ```ts
 * const check = new LeakCheck();
 * await runTheTests();
 * const leaks = await check.find();
 * if (leaks.length > 0) throw new Error(leaks.join("\n"));
 * ```
 */
import { isCoreOpen } from "../native/index.ts";
import { formatBytes, formatDuration } from "./format.ts";
import type { LiveBlock, LiveReport } from "./live-blocks.ts";
import { livePools } from "./open-pools.ts";
import type { HybridMemoryPool } from "./pool.ts";
import { cleanUp } from "./upkeep.ts";

/** What one tag of one pool holds more than before. */
export interface Leak {
  pool: string;
  /** Empty for blocks without a tag. */
  tag: string;
  blocks: number;
  bytes: number;
  /** The new blocks, as far as the pool keeps them: from level `standard` up. */
  since: readonly LiveBlock[];
  toString(): string;
}

/** What may stay: a pool as a whole, or a tag of any pool. */
export type AllowedLeak = HybridMemoryPool | string;

export interface FindLeaksOptions {
  allow?: readonly AllowedLeak[];
}

/** The core's own objects, made when they are first needed, and kept. */
const engineKeeps = "bookkeeping";
/** Garbage goes by and by, and so does what ended runs held. */
const rounds = 20;
const roundMs = 10;

export class LeakCheck {
  readonly #before = reports();
  readonly #start = performance.now();

  /**
   * Leaks, once the collector has taken what nobody holds any more and caches are emptied. With a
   * leak it takes a moment, because what ended runs held goes by and by.
   */
  async find({ allow = [] }: FindLeaksOptions = {}): Promise<Leak[]> {
    const allowed = allow.map((one) => (typeof one === "string" ? one : one.share().handle));
    for (let round = 0; ; round += 1) {
      const leaks = [...reports()]
        .filter(([handle]) => !allowed.includes(handle))
        .flatMap(([handle, report]) => this.#leaksOf(handle, report))
        .filter(({ tag }) => !allowed.includes(tag));
      if (leaks.length === 0 || round === rounds) return leaks;
      // Takes garbage, and caches: what is made again when it is wanted is no leak.
      cleanUp();
      await Bun.sleep(roundMs);
    }
  }

  #leaksOf(handle: number, { pool, tags, blocks: all }: LiveReport): Leak[] {
    const before = this.#before.get(handle)?.tags ?? [];
    const ageMax = (performance.now() - this.#start) / 1000;
    return tags.flatMap(({ tag, blocks, used }) => {
      const earlier = before.find((one) => one.tag === tag) ?? { blocks: 0, used: 0 };
      if (blocks <= earlier.blocks || tag === engineKeeps) return [];
      const since = all.filter((one) => one.tag === tag && one.ageSeconds < ageMax);
      const bytes = Math.max(0, used - earlier.used);
      return [described({ pool, tag, blocks: blocks - earlier.blocks, bytes, since })];
    });
  }
}

/** Nothing while nobody needed the core: it would be opened for this. */
function reports(): Map<number, LiveReport> {
  return isCoreOpen() ? livePools() : new Map();
}

function described(leak: Omit<Leak, "toString">): Leak {
  const lines = [
    `pool "${leak.pool}" holds ${leak.blocks} blocks more than before, ` +
      `${formatBytes(leak.bytes)} (${leak.tag || "untagged"})`,
    ...leak.since.map(
      ({ bytes, ageSeconds, label }) =>
        `  ${formatBytes(bytes)}, ${formatDuration(ageSeconds)} old${label && `, from ${label}`}`,
    ),
  ];
  return Object.defineProperty(leak as Leak, "toString", { value: () => lines.join("\n") });
}
