/**
 * Where the time of a decoded token and of a prompt goes, by kind of instruction.
 *
 *   bun bench/profile.ts [--geometry 2b4t|110m] [--threads N] [--precision fast|exact] [--json]
 *
 * Times are the first worker's, from one instruction's end to the next one's: waiting at the
 * barrier before an instruction counts as its own. Profiling itself costs a clock read each.
 */
import type { Program } from "../src/graph/index.ts";
import { describeMachine, formatMachine, formatTable } from "../src/report/index.ts";
import { decodeTokens, EngineRuns, readEngineOptions } from "./engine-runs.ts";

const promptTokens = 256;

/** Instructions of one kind, over a run. */
interface Part {
  kind: string;
  instructions: number;
  microsecondsPerToken: number;
  share: number;
}

const options = readEngineOptions();
using runs = new EngineRuns(options);
// The first runs touch the memory.
await runs.decode();
await runs.prefill(promptTokens);
runs.decodeProgram.native.startProfile();
await runs.decode();
const decodeParts = partsOf(runs.decodeProgram, decodeTokens);
runs.prefillProgram.native.startProfile();
await runs.prefill(promptTokens);
const prefillParts = partsOf(runs.prefillProgram, promptTokens);

if (options.json) {
  const machine = describeMachine(options.threads);
  console.log(JSON.stringify({ machine, decode: decodeParts, prefill: prefillParts }));
} else {
  console.log(`${options.geometry}, ${formatMachine(describeMachine(options.threads))}`);
  console.log(`\n${describe(`decode of ${decodeTokens}`, decodeParts)}`);
  console.log(`\n${describe(`prefill of ${promptTokens}`, prefillParts)}`);
}

function partsOf(program: Program, tokens: number): Part[] {
  const times = program.native.profile();
  const total = times.reduce((sum, time) => sum + time, 0);
  const parts = new Map<string, Part>();
  program.steps.forEach(({ node, serial }, index) => {
    // Matrices by their shape: they differ most.
    const weight = node.inputs.find(({ storage, dims, layout }) => {
      return storage.kind === "constant" && (layout !== "strided" || dims.length === 2);
    });
    const matrix = weight && node.op !== "embedding" ? ` (${weight.dims.join(", ")})` : "";
    const kind = `${node.op}${matrix}${serial ? ", one thread" : ""}`;
    const part = parts.get(kind) ?? { kind, instructions: 0, microsecondsPerToken: 0, share: 0 };
    part.instructions += 1;
    part.microsecondsPerToken += times[index]! / 1000 / tokens;
    part.share += times[index]! / total;
    parts.set(kind, part);
  });
  return [...parts.values()].sort((a, b) => b.share - a.share);
}

function describe(what: string, parts: readonly Part[]): string {
  const sum = parts.reduce((total, part) => total + part.microsecondsPerToken, 0);
  const rows = parts.map(({ kind, instructions, microsecondsPerToken, share }) => [
    kind,
    instructions,
    microsecondsPerToken.toFixed(1),
    `${(100 * share).toFixed(1)} %`,
  ]);
  const count = parts.reduce((total, part) => total + part.instructions, 0);
  rows.push(["all", count, sum.toFixed(1), "100 %"]);
  return formatTable([what, "instructions", "microseconds a token", "share"], rows);
}
