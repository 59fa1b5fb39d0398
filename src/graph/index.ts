/** Recorded computing: values, the op table, graphs, and the Programs they compile to. */
export { type CompileOptions, type ProgramPlan, planGraph } from "./compile.ts";
export { svdVectors } from "./dense-shapes.ts";
export { type Dim, dimOf, extentAt, extentMax, formatDims, Sym } from "./dims.ts";
export { encodeProgram } from "./encode.ts";
export { explainPlan } from "./explain.ts";
export { foldConstants } from "./fold.ts";
export { type CustomGradient, gradients, setCustomGradient } from "./gradients/gradients.ts";
export { Graph } from "./graph.ts";
export type { ProgramMemory } from "./memory.ts";
export { type OutputShape, samplingColumns } from "./ops.ts";
export { reads } from "./passes/rewriting.ts";
export { ProfileMeter, type ProfileOptions } from "./profile/meter.ts";
export { Profile } from "./profile/profile.ts";
export type { ProfileRow, ProfileSpan, ProgramProfile } from "./profile/rows.ts";
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
  type StorageKind,
  type TernaryLayout,
  tileRows,
  Value,
  type Weight,
  weightSize,
} from "./value.ts";
