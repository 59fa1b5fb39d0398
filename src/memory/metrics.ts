/** What a pool holds, as its threads have counted it: read at any time, without stopping anyone. */
import {
  type NativePool,
  PoolClassLayout,
  type PoolMetricsLayout,
  PoolTagLayout,
  type StructValues,
} from "../native/index.ts";

/** Sizes in bytes. While others allocate, each is true of some moment of the call. */
export interface PoolMetrics {
  /** What live blocks were asked for with, now and at most. */
  used: number;
  peak: number;
  /** What is given out in whole spans, units, mappings, now and at most: the limit counts it. */
  held: number;
  peakHeld: number;
  /** Null without a limit. */
  maxBytes: number | null;
  /** What may be resident: `held`, what is kept for reuse, and the pool's own tables. */
  total: number;
  /** Address space, touched or not. */
  reserved: number;
  /** Live blocks as they are cut, by where they lie, and files that are mapped beside them. */
  parts: { small: number; buddy: number; direct: number; mapped: number };
  /** Kept for reuse. */
  idle: number;
  /** The pool's own tables. */
  overhead: number;
  blocks: number;
  allocations: number;
  frees: number;
  refusals: number;
  /** Double frees, damage and the like, in debug mode. */
  faults: number;
  /** Free bytes in arenas, and the largest block that needs no new mapping. */
  free: number;
  largestFree: number;
  /** From 0 to 1: what rounding costs, and what lies apart. */
  internalFragmentation: number;
  externalFragmentation: number;
  /** Threads that have blocks of their own at hand. */
  threads: number;
}

/** Small blocks of one size. */
export interface ClassMetrics {
  bytes: number;
  blocks: number;
}

/** What blocks of one tag hold, and from level `standard` up how long those that ended lived. */
export interface TagMetrics {
  /** Empty for blocks without a tag. */
  tag: string;
  used: number;
  blocks: number;
  allocations: number;
  lifetimes: { count: number; meanSeconds: number; maxSeconds: number } | null;
}

export function poolMetrics(native: NativePool): PoolMetrics {
  return metricsOf(native.metrics());
}

export function metricsOf(raw: StructValues<typeof PoolMetricsLayout>): PoolMetrics {
  return {
    used: raw.used,
    peak: raw.peak_used,
    held: raw.held,
    peakHeld: raw.peak_held,
    maxBytes: raw.size_max > Number.MAX_SAFE_INTEGER ? null : raw.size_max,
    total: raw.total,
    reserved: raw.reserved,
    parts: {
      small: raw.small_blocks,
      buddy: raw.buddy_blocks,
      direct: raw.direct_blocks,
      mapped: raw.mapped_files,
    },
    idle: raw.idle,
    overhead: raw.meta,
    blocks: raw.live_count,
    allocations: raw.allocated_count,
    frees: raw.freed_count,
    refusals: raw.refused_count,
    faults: raw.fault_count,
    free: raw.free,
    largestFree: raw.largest_free,
    internalFragmentation: raw.internal_fragmentation,
    externalFragmentation: raw.external_fragmentation,
    threads: raw.thread_count,
  };
}

/** Classes that have live blocks, smallest first. */
export function classMetrics(native: NativePool): ClassMetrics[] {
  return native
    .read("classes", PoolClassLayout)
    .filter(({ live_count }) => live_count > 0)
    .map(({ size, live_count }) => ({ bytes: size, blocks: live_count }));
}

/** Tags that ever had a block, the largest holders first. */
export function tagMetrics(native: NativePool): TagMetrics[] {
  const tags: TagMetrics[] = [];
  for (const [number, raw] of native.read("tags", PoolTagLayout).entries()) {
    if (raw.allocated_count === 0) continue;
    const count = raw.ended_count;
    const meanSeconds = raw.lifetime_total_ns / count / 1e9;
    tags.push({
      tag: native.name("tag", number),
      used: raw.used,
      blocks: raw.live_count,
      allocations: raw.allocated_count,
      lifetimes: count === 0 ? null : { count, meanSeconds, maxSeconds: raw.lifetime_max_ns / 1e9 },
    });
  }
  return tags.sort((a, b) => b.used - a.used);
}
