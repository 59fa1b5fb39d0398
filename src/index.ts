/**
 * bitnet-bun: loads, runs and serves 1.58-bit language models on your own CPU.
 *
 * @example
 * ```ts
 * import { load } from "bitnet-bun";
 *
 * await using model = await load("fairy-tales");
 * for await (const piece of model.generate("Once upon a time")) process.stdout.write(piece.text);
 * ```
 */
export {
  type Answer,
  Chat,
  type ChatOptions,
  type Converted,
  type ConvertOptions,
  type ConvertProgress,
  convertModel,
  Generation,
  type GenerationStats,
  type Inspection,
  inspectModel,
  inspectPackings,
  type LoadOptions,
  type LoadProgress,
  type MatrixPackings,
  Model,
  type ModelInfo,
} from "./engine/index.ts";
export { BitNetError, type ErrorCode, errorCodes } from "./errors/index.ts";
export type { FinishReason, GenerateOptions, Piece } from "./generate/index.ts";
export { type CachedModel, type HubOptions, listModels, pullModel } from "./hub/index.ts";
export * as linalg from "./linalg/index.ts";
export { type LoadModelOptions, load } from "./load.ts";
export { type CoreInfo, coreInfo } from "./native/index.ts";
export {
  type AxisPairs,
  arange,
  argsort,
  type CreateOptions,
  compile,
  concat,
  customGradient,
  type DType,
  dot,
  type EyeOptions,
  einsum,
  eye,
  flip,
  full,
  type GradOptions,
  gather,
  grad,
  type Index,
  type IndexList,
  type LinspaceOptions,
  type LoadTensorsOptions,
  type Loss,
  linspace,
  loadNpy,
  loadSafetensors,
  type NestedArray,
  type NormalOptions,
  nonzero,
  ones,
  outer,
  type PadWidths,
  pad,
  type RandomOptions,
  type RangeOptions,
  randn,
  repeat,
  roll,
  type SaveTensorsOptions,
  type ScatterOptions,
  type Shape,
  type Sorted,
  type SortOptions,
  saveNpy,
  saveSafetensors,
  scatter,
  scatterAdd,
  sort,
  split,
  stack,
  stopGradient,
  Tensor,
  type TensorFunction,
  type TensorGradient,
  type TensorOperand,
  type TopOptions,
  type TypedArray,
  take,
  tensor,
  tensordot,
  tile,
  topk,
  type UniformOptions,
  uniform,
  type ValueAndGradients,
  valueAndGrad,
  where,
  zeros,
} from "./tensor/index.ts";
export type { ChatMessage, ChatTemplate, Tokenizer } from "./text/index.ts";
