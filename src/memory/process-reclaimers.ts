/**
 * What every process can free, whoever uses the library: kept memory, and what nobody holds. The
 * pool and the collector look after both by themselves, so they are offered only when memory is
 * short or an allocation is about to fail.
 */
import { engineHandle, memoryMetrics, NativePool, trimMemory } from "../native/index.ts";
import { atLeast, type PressureLevel } from "./pressure.ts";
import { type Reclaimable, ReclaimPriority } from "./reclaimers.ts";

/** Kept memory is not worth a call below it. */
const keptMin = 1 << 20;
/** Zeroed pages come back from the system so fast, about. */
const bytesPerSecond = 4e9;
/** The collector is not asked oftener, unless an allocation is about to fail. */
const garbageEveryMs = 10_000;
/** What a full collection takes, about. */
const garbageSeconds = 0.02;

let engine: NativePool | undefined;
let lastTrimAt = 0;
let lastGarbageAt = 0;

/** Freed memory that the engine's pool keeps for reuse. */
export function keptMemory(urgent: boolean, level: PressureLevel): Reclaimable[] {
  if (!urgent && !atLeast(level, "medium")) return [];
  engine ??= NativePool.hold(engineHandle);
  const bytes = engine.metrics().idle;
  if (bytes < keptMin) return [];
  return [
    {
      name: "freed memory kept for reuse",
      device: "cpu",
      priority: ReclaimPriority.empty,
      bytes,
      usedAt: lastTrimAt,
      costSeconds: bytes / bytesPerSecond,
      reuseCount: 0,
      reclaim() {
        lastTrimAt = performance.now();
        return trimMemory();
      },
    },
  ];
}

/** Native memory whose owners nobody holds any more: freed when the collector finds them. */
export function garbage(urgent: boolean, level: PressureLevel): Reclaimable[] {
  const isDue = performance.now() - lastGarbageAt >= garbageEveryMs;
  if (!urgent && !(atLeast(level, "high") && isDue)) return [];
  return [
    {
      name: "what the collector finds",
      device: "cpu",
      priority: ReclaimPriority.garbage,
      bytes: null,
      usedAt: lastGarbageAt,
      costSeconds: garbageSeconds,
      reuseCount: 0,
      reclaim() {
        const before = memoryMetrics().used;
        Bun.gc(true);
        lastGarbageAt = performance.now();
        return Math.max(0, before - memoryMetrics().used);
      },
    },
  ];
}
