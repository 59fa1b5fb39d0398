/** Tensors: NumPy's habits over the recorded graph. */
export { compile, type TensorFunction } from "./compile.ts";
export { type CreateOptions, full, ones, tensor, zeros } from "./create.ts";
export { type DType, dtypes, type TypedArray } from "./dtypes.ts";
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
export type { Index } from "./indexing.ts";
export type { NestedArray } from "./read.ts";
export type { Shape } from "./shapes.ts";
export { Tensor, type TensorOperand } from "./tensor.ts";
