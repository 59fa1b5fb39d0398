/** Checkpoints of any format to names, dtypes, shapes and byte ranges. */
export { type BlockShape, blockShapes, i2sTailBytes } from "./dtypes.ts";
export { type GgufContent, type GgufField, writeGguf } from "./gguf-writer.ts";
export { type NpyContent, type NpyEntry, readNpy, writeNpy } from "./npy.ts";
export { openCheckpoint, readTensorBytes, TensorReader } from "./open.ts";
export { writeFileWhole } from "./output-file.ts";
export { packingMetadata } from "./packed-tensors.ts";
export { readSafetensors } from "./safetensors.ts";
export {
  type SafetensorsContent,
  type SafetensorsSource,
  writeSafetensors,
} from "./safetensors-writer.ts";
export type { TensorSource, WriteOptions } from "./tensor-source.ts";
export type {
  Checkpoint,
  GgufCheckpoint,
  GgufNestedArray,
  GgufNumbers,
  GgufValue,
  HfCheckpoint,
  OpenOptions,
  PackingName,
  StoredDType,
  TensorEntry,
} from "./types.ts";
export { packingNames } from "./types.ts";
