/** Checkpoints of any format to names, dtypes, shapes and byte ranges. */
export { type BlockShape, blockShapes, i2sTailBytes } from "./dtypes.ts";
export { type GgufContent, type GgufField, writeGguf } from "./gguf-writer.ts";
export { openCheckpoint, readTensorBytes } from "./open.ts";
export type { TensorSource, WriteOptions } from "./tensor-source.ts";
export type {
  Checkpoint,
  GgufCheckpoint,
  GgufNestedArray,
  GgufNumbers,
  GgufValue,
  HfCheckpoint,
  OpenOptions,
  StoredDType,
  TensorEntry,
} from "./types.ts";
