/** Options of pools and blocks: what they mean, what is refused, and the native form. */
import { BitNetError } from "../errors/index.ts";
import { PoolLevel, type PoolLevelName, poolAlignmentMax } from "../native/index.ts";

/**
 * How much a pool keeps about its blocks. `none`: sums of the whole pool; `basic`: sums by tag;
 * `standard`: every live block with its age, the timeline, lifetimes; `detailed`: call sites and
 * freed blocks too.
 */
export type TrackingLevel = PoolLevelName;

/** Options of a new pool; all have a default. */
export interface PoolOptions {
  /** What the pool may hold, in bytes: small blocks count in whole spans of 64 KiB. No limit. */
  maxBytes?: number;
  /**
   * Freed memory of large blocks that is kept for the next ones, in bytes, at most. By default,
   * null, as much as recent use makes worth keeping.
   */
  idleBytesMax?: number | null;
  /** `basic` by default. */
  level?: TrackingLevel;
  /**
   * Guard bytes around each block, poison in what was freed, and a record of each block: double
   * frees, foreign blocks and damage become errors with the block's history. Off by default.
   */
  debug?: boolean;
  /** Whether large blocks may lie in huge pages, where the system has them. On by default. */
  hugePages?: boolean;
  /** In reports; "pool" by default. */
  name?: string;
}

/** Options of one block. */
export interface AllocateOptions {
  /** A power of two from 1 to 65536; 16 by default, which is also the least there is. */
  align?: number;
  /** What the block is for: one of at most 63 names in a pool. */
  tag?: string;
  /** Where it was asked for: by default the caller's line, from level `detailed` or debug on. */
  label?: string;
  /** Whether it reads zero at first. Otherwise it holds what was there before. */
  zeroed?: boolean;
  /** Whether it fills bit by bit, so that huge pages would take more than what is touched. */
  sparse?: boolean;
}

/** @throws BitNetError `memory/invalid-option` */
export function checkPoolOptions(options: PoolOptions): Required<PoolOptions> {
  const {
    maxBytes = Number.POSITIVE_INFINITY,
    idleBytesMax = null,
    level = "basic",
    debug = false,
    hugePages = true,
    name = "pool",
  } = options;
  const isUnlimited = maxBytes === Number.POSITIVE_INFINITY;
  if (!isUnlimited && !(Number.isSafeInteger(maxBytes) && maxBytes >= 1)) {
    throw invalid("maxBytes", "a whole number of bytes from 1 on", maxBytes);
  }
  if (idleBytesMax !== null && !(Number.isSafeInteger(idleBytesMax) && idleBytesMax >= 0)) {
    throw invalid("idleBytesMax", "a whole number of bytes from 0 on, or null", idleBytesMax);
  }
  if (!Object.hasOwn(PoolLevel, level)) {
    throw invalid("level", Object.keys(PoolLevel).join(", "), level);
  }
  for (const [key, flag] of Object.entries({ debug, hugePages })) {
    if (typeof flag !== "boolean") throw invalid(key, "true or false", flag);
  }
  if (typeof name !== "string" || name === "") throw invalid("name", "a text", name);
  return { maxBytes, idleBytesMax, level, debug, hugePages, name };
}

/** @throws BitNetError `memory/invalid-option` */
export function checkAlign(align: number): number {
  const isPowerOfTwo = Number.isInteger(align) && align >= 1 && (align & (align - 1)) === 0;
  if (isPowerOfTwo && align <= poolAlignmentMax) return align;
  throw invalid("align", `a power of two from 1 to ${poolAlignmentMax}`, align);
}

/** What to throw for a size that is none. */
export function invalidSize(bytes: unknown): BitNetError {
  return invalid("bytes", "a whole number from 1 to 2 ** 53 - 1", bytes);
}

/** What to throw for an option that does not fit. */
export function invalid(option: string, wanted: string, got: unknown): BitNetError {
  const text = typeof got === "string" ? JSON.stringify(got) : String(got);
  return new BitNetError("memory/invalid-option", `${option}: want ${wanted}, got ${text}`);
}
