/** Measuring: repeats in turns, their statistics, the machine they ran on, tables of the result. */
export { describeMachine, formatMachine, type MachineDescription } from "./machine.ts";
export { peakResidentBytes } from "./resident.ts";
export { measureRounds, rateOf } from "./rounds.ts";
export { formatSummary, type Summary, summarize } from "./statistics.ts";
export { type Cell, formatTable } from "./table.ts";
