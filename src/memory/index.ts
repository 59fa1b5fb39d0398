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
export { Cleaner, type CleanupReport, type CleanupStep, type PassOptions } from "./cleaner.ts";
export type { ConversionPreset } from "./conversion-presets.ts";
export type { ConversionLoss, ConversionStatistics } from "./conversion-statistics.ts";
export {
  type BatchItem,
  type ConversionKind,
  type ConversionPace,
  type Converted,
  type ConvertOptions,
  convert,
  convertBatch,
} from "./convert.ts";
export {
  type ConvertedStream,
  type ConvertStreamOptions,
  convertStream,
  type PieceSource,
} from "./convert-stream.ts";
export { alignRows, formatBytes, formatDuration } from "./format.ts";
export { type AllowedLeak, type FindLeaksOptions, type Leak, LeakCheck } from "./leak-check.ts";
export { type LiveBlock, LiveReport } from "./live-blocks.ts";
export { MappedFile, type MappedFileOptions } from "./mapped-file.ts";
export type { ClassMetrics, PoolMetrics, TagMetrics } from "./metrics.ts";
export type { AllocateOptions, PoolOptions, TrackingLevel } from "./options.ts";
export type {
  DeviceUse,
  Pattern,
  PatternKind,
  PatternSetting,
  PatternSource,
  SizeCount,
  UseSample,
} from "./pattern.ts";
export { findPatterns } from "./patterns.ts";
export type { NativeBlock, PlainArrays, PlainDType, PlainMemory } from "./plain-dtypes.ts";
export { HybridMemoryPool, type PoolEvents, type SharedPool } from "./pool.ts";
export {
  type PressureCause,
  type PressureEvent,
  type PressureLevel,
  type PressureOptions,
  type PressureReading,
  pressureLevels,
} from "./pressure.ts";
export { type PressureListener, PressureMonitor } from "./pressure-monitor.ts";
export { reclaimableTable } from "./reclaimable-table.ts";
export {
  type Reclaimable,
  ReclaimerList,
  ReclaimPriority,
  type ReclaimProvider,
} from "./reclaimers.ts";
export { type PoolFault, PoolReport } from "./report.ts";
export { MemoryScope } from "./scope.ts";
export {
  deviceStrategy,
  generationalStrategy,
  idleStrategy,
  periodicStrategy,
  pressureStrategy,
  type Strategy,
  type StrategyMoment,
} from "./strategies.ts";
export { svgDocument, svgPlace, svgText } from "./svg.ts";
export type { Timeline } from "./timeline.ts";
export {
  type CleanUpOptions,
  cleanUp,
  cleanupHistory,
  memoryPressure,
  onMemoryPressure,
  reclaimers,
  setCleanupStrategies,
} from "./upkeep.ts";
