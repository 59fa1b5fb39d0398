/** Recorded computing: values, the op table, graphs, and the Programs they compile to. */
export type { CompileOptions } from "./compile.ts";
export { type Dim, dimOf, extentMax, formatDims, Sym } from "./dims.ts";
export { type ApplyOptions, Graph, type Node } from "./graph.ts";
export { type Attrs, samplingColumns } from "./ops.ts";
export { Program, type ProgramRun } from "./program.ts";
export {
  elementSizes,
  packedSize,
  type Storage,
  tileCols,
  tileRows,
  Value,
  type Weight,
  weightSize,
} from "./value.ts";
