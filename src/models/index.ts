/** Architectures: configuration in, a decoder out, with its weights from a checkpoint. */
export {
  type ConvertFolderOptions,
  convertToFolder,
  type PackingCounts,
} from "./convert-folder.ts";
export {
  type ConvertedMatrices,
  type ConvertGgufOptions,
  convertToGguf,
  type GgufWeightType,
  ggufWeightTypes,
} from "./convert-gguf.ts";
export {
  Decoder,
  type DecoderConfig,
  type DecoderLayer,
  type DecoderWeights,
  type ForwardInput,
} from "./decoder.ts";
export type { ModelPlan, TensorNames } from "./family.ts";
export { ggufNames } from "./gguf.ts";
export { type GgufArchitecture, ggufArchitectures, ggufConfigFields } from "./gguf-fields.ts";
export { allocateInt8Head, type Int8Head, recordInt8Head, type SamplingState } from "./head.ts";
export { bitnetNames } from "./hugging-face.ts";
export {
  type LoadDecoderOptions,
  type LoadedDecoder,
  loadDecoder,
  planModel,
} from "./load.ts";
export { type MatrixPackings, reportPackings } from "./report-packings.ts";
export {
  inLayer,
  type MatrixRole,
  matrixRoles,
  matrixShape,
  type NormRole,
  normRoles,
  normWidth,
  storeSize,
} from "./shapes.ts";
export { WeightStore } from "./store.ts";
