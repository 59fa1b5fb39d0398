/** The native core: finding and opening it, its buffers, programs and runs. */
export * from "./abi.gen.ts";
export type { BackgroundRun } from "./background-run.ts";
export {
  addressOf,
  type ConversionRequest,
  conversionCountMax,
  convertNow,
} from "./convert.ts";
export {
  type BlockSizes,
  type CoreInfo,
  type CoreOptions,
  coreInfo,
  isCoreOpen,
  openCore,
  type ProbeOptions,
  probeMachine,
  setBlockSizes,
  streamRate,
  type Traffic,
} from "./core.ts";
export { useEmbeddedCore } from "./locate.ts";
export {
  limitMemory,
  type MemoryMetrics,
  memoryMetrics,
  type RegionTag,
  trimMemory,
} from "./memory.ts";
export { type MakeRoom, setMakeRoom } from "./out-of-memory.ts";
export { bufferAt, engineHandle, NativePool, type NativePoolOptions, packManner } from "./pool.ts";
export { PreparedRun } from "./prepared-run.ts";
export { NativeProgram } from "./program.ts";
export {
  alignedSize,
  type FileRange,
  type MapAdviceName,
  type MapModeName,
  placeSize,
  Region,
  type RegionOptions,
} from "./region.ts";
export {
  type RegionPlace,
  type RunOptions,
  type RunRequest,
  runNow,
  submitRun,
} from "./run.ts";
export { type Reading, RunArgs } from "./run-args.ts";
export { encodeStruct, type StructLayout, type StructValues } from "./structs.ts";
export { type SystemMemory, systemMemory } from "./system-memory.ts";
