/**
 * Native memory for an app's own buffers and the engine's alike: `bitnet-bun/memory`.
 *
 * @example
 * ```ts
 * import { HybridMemoryPool } from "bitnet-bun/memory";
 *
 * using pool = new HybridMemoryPool({ maxBytes: 1 << 30, level: "standard" });
 * using block = pool.allocate(4096, { align: 64, tag: "samples" });
 * block.view(Float32Array).fill(1);
 * ```
 */
export { MemoryBlock, type ViewClass } from "./block.ts";
export { type LiveBlock, LiveReport } from "./live-blocks.ts";
export type { ClassMetrics, PoolMetrics, TagMetrics } from "./metrics.ts";
export type { AllocateOptions, PoolOptions, TrackingLevel } from "./options.ts";
export { HybridMemoryPool, type PoolEvents, type SharedPool } from "./pool.ts";
export { MemoryScope } from "./scope.ts";
