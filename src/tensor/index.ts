/** Tensors: NumPy's habits over the recorded graph. */
export { applied } from "./applying.ts";
export {
  type CompiledFunction,
  type CompiledProgram,
  type CompileFunctionOptions,
  compile,
} from "./compile.ts";
export { type AxisPairs, dot, einsum, outer, tensordot } from "./contractions.ts";
export { type CreateOptions, full, ones, type TensorOptions, tensor, zeros } from "./create.ts";
export {
  type DType,
  dtypes,
  type PackedDType,
  type TernaryPacking,
  type TypedArray,
  ternaryPackings,
} from "./dtypes.ts";
export {
  type LoadTensorsOptions,
  loadNpy,
  loadSafetensors,
  type SaveTensorsOptions,
  saveNpy,
  saveSafetensors,
} from "./files.ts";
export {
  argsort,
  concat,
  flip,
  gather,
  type IndexList,
  nonzero,
  pad,
  repeat,
  roll,
  type ScatterOptions,
  scatter,
  scatterAdd,
  sort,
  split,
  stack,
  take,
  tile,
  topk,
  where,
} from "./functions.ts";
export {
  customGradient,
  type GradOptions,
  grad,
  type Loss,
  stopGradient,
  type TensorGradient,
  type ValueAndGradients,
  valueAndGrad,
} from "./grad.ts";
export type { PadWidths } from "./joining.ts";
export {
  type BitLinearOptions,
  bitLinear,
  type CrossEntropyOptions,
  crossEntropy,
  gated,
  type LayerNormOptions,
  layerNorm,
  type NormLayerOptions,
  type RopeOptions,
  rmsNorm,
  rope,
} from "./layer-functions.ts";
export type { NormOptions } from "./norms.ts";
export type { TernaryOptions } from "./packed.ts";

export {
  type NormalOptions,
  type RandomOptions,
  randn,
  type UniformOptions,
  uniform,
} from "./random.ts";
export {
  arange,
  type EyeOptions,
  eye,
  type LinspaceOptions,
  linspace,
  type RangeOptions,
} from "./ranges.ts";

export type { NestedArray } from "./read.ts";
export type { TensorFunction } from "./recorded-function.ts";
export { broadcastShapes, type Shape } from "./shapes.ts";
export type { Sorted, SortOptions, TopOptions } from "./sorting.ts";
export { type Index, Tensor, type TensorOperand } from "./tensor.ts";
