/** Architectures: configuration in, a decoder out, with its weights from a checkpoint. */
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
export type { ModelPlan } from "./family.ts";
export { type GgufArchitecture, ggufArchitectures } from "./gguf-fields.ts";
export {
  type LoadDecoderOptions,
  type LoadedDecoder,
  loadDecoder,
  planModel,
} from "./load.ts";
export { type MatrixRole, matrixShape, type NormRole, normWidth, storeSize } from "./shapes.ts";
export { WeightStore } from "./store.ts";
