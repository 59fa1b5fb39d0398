/** Recorded computing: values, the op table, graphs, and the Programs they compile to. */
export { type CompileOptions, planGraph } from "./compile.ts";
export { svdVectors } from "./dense-shapes.ts";
export { type Dim, dimOf, extentMax, formatDims, Sym } from "./dims.ts";
export { encodeProgram } from "./encode.ts";
export { type CustomGradient, gradients, setCustomGradient } from "./gradients.ts";
export { Graph } from "./graph.ts";
export { type OutputShape, samplingColumns } from "./ops.ts";
export { Program, type ProgramRun } from "./program.ts";
export { type ApplyOptions, type Recorded, type Recorder, record } from "./record.ts";
export {
  type Attrs,
  elementSizes,
  isFloat,
  isRowMajor,
  isTernaryLayout,
  type Node,
  packedSize,
  rowMajor,
  type Storage,
  type TernaryLayout,
  tileRows,
  Value,
  type Weight,
  weightSize,
} from "./value.ts";
