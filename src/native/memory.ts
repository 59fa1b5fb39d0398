/**
 * The engine's memory: one native pool that holds every region and what the core allocates for
 * itself, each block under a tag. What it holds, and how much it may hold.
 */
import { MemoryMetricsLayout, MemoryTag } from "./abi.gen.ts";
import { check, core } from "./core.ts";
import { decodeStruct } from "./structs.ts";

const tagNumbers = {
  weights: MemoryTag.weights,
  "kv-cache": MemoryTag.kv_cache,
  arena: MemoryTag.arena,
  input: MemoryTag.input,
  staging: MemoryTag.staging,
  tensor: MemoryTag.tensor,
  other: MemoryTag.other,
} as const;

/** What a region is for. */
export type RegionTag = keyof typeof tagNumbers;

/** The core's number of a tag. */
export function tagNumber(tag: RegionTag): number {
  return tagNumbers[tag];
}

/** Bytes, but for `regions`. */
export interface MemoryMetrics {
  /** Of all regions, and of arenas and inputs of Programs, as they were asked for. */
  used: number;
  usedBy: Record<RegionTag, number>;
  /** The core's own objects, and the scratch memory of its threads. */
  bookkeeping: number;
  /** The most there was of `used` and `bookkeeping` together. */
  peak: number;
  /** `used` and `bookkeeping` in whole spans and units: what the limit is about. */
  held: number;
  /** Infinity where there is none. */
  limit: number;
  /** What may be resident: `held`, what is kept for reuse, and the pool's own tables. */
  total: number;
  /** Files in use in place; not in the pool. */
  mapped: number;
  regions: number;
}

/** What the engine's pool holds. */
export function memoryMetrics(): MemoryMetrics {
  const bytes = new Uint8Array(MemoryMetricsLayout.size);
  check(core().bn_memory_metrics(bytes), "reading memory metrics");
  const now = decodeStruct(MemoryMetricsLayout, bytes);
  const usedBy: Record<RegionTag, number> = {
    weights: now.used_weights,
    "kv-cache": now.used_kv_cache,
    arena: now.used_arena,
    input: now.used_input,
    staging: now.used_staging,
    tensor: now.used_tensor,
    other: now.used_other,
  };
  return {
    used: Object.values(usedBy).reduce((sum, size) => sum + size, 0),
    usedBy,
    bookkeeping: now.used_bookkeeping,
    peak: now.peak,
    held: now.held,
    limit: now.limit || Number.POSITIVE_INFINITY,
    total: now.total,
    mapped: now.mapped,
    regions: now.region_count,
  };
}

/**
 * Bounds what the engine's pool may hold, Infinity for no bound. What it holds already stays; what
 * would go beyond is refused as `native/out-of-memory`, saying who holds what.
 * @throws BitNetError `native/invalid-argument` for what is no whole number of bytes.
 */
export function limitMemory(maxBytes: number): void {
  check(core().bn_memory_limit(maxBytes), `a memory limit of ${maxBytes} bytes`);
}

/**
 * Gives memory that is kept for reuse back to the system.
 * @returns bytes by which less may be resident
 */
export function trimMemory(): number {
  const won = new Float64Array(1);
  check(core().bn_memory_trim(won), "giving memory back");
  return won[0]!;
}
