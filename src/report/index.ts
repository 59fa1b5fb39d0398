/** Measuring: repeats in turns, their statistics, the machine they ran on, tables of the result. */

export { type BenchFormat, benchFormats, formatBench } from "./bench-output.ts";
export { describeMachine, formatMachine, type MachineDescription } from "./machine.ts";
export {
  type BenchTest,
  benchModel,
  type ModelBench,
  type ModelBenchOptions,
} from "./model-bench.ts";
export { peakResidentBytes } from "./resident.ts";
export { measureRounds, rateOf, type Task } from "./rounds.ts";
export { formatSummary, type Summary, summarize } from "./statistics.ts";
export { type Cell, formatTable } from "./table.ts";
