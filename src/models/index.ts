/** Architectures: configuration in, a decoder out, with its weights from a checkpoint. */
export {
  Decoder,
  type DecoderConfig,
  type DecoderWeights,
  type ForwardInput,
} from "./decoder.ts";
export type { ModelPlan } from "./family.ts";
export {
  type LoadDecoderOptions,
  type LoadedDecoder,
  loadDecoder,
  planModel,
  storeSize,
} from "./load.ts";
