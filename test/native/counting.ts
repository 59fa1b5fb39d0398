/** Programs that count their steps: what tests of runs start, stop and watch. */
import { Graph, Program } from "../../src/graph/index.ts";
import type { Region } from "../../src/native/index.ts";

/** More steps than any test waits for. */
export const endless = 2 ** 32 - 1;

/** A state "count" that grows by 1 each step, on a vector too short to share. */
export function countingProgram(): Program {
  const graph = new Graph();
  const count = graph.stateValue(graph.state("count", 64), { dtype: "i32", dims: [16] });
  graph.one("add", [count, graph.input("one", "i32", [16])], { into: [count] });
  return new Program(graph);
}

export const countingInputs = { one: new Int32Array(16).fill(1) };

/** Reads the first 64 bytes of a region and writes their doubles to "output". */
export function doublingProgram(region: Region): Program {
  const graph = new Graph();
  const x = graph.constant({ region, offset: 0, dtype: "i32", layout: "strided", shape: [16] });
  graph.one("add", [x, x], { into: [graph.output("output", "i32", [16])] });
  return new Program(graph);
}

export function countOf(region: Region): number {
  return new Int32Array(region.bytes(0, 64).buffer)[0]!;
}

/** Elements of a step that is worth sharing, with several barriers. */
const wide = 40_000;

/** Two states that grow one after the other; `commit` holds a step together from the first on. */
export function pairProgram(commit: boolean): Program {
  const graph = new Graph();
  const one = graph.input("one", "i32", [1]).broadcast([wide]);
  const state = (name: string) =>
    graph.stateValue(graph.state(name, 4 * wide), { dtype: "i32", dims: [wide] });
  const [first, second] = [state("first"), state("second")];
  graph.one("add", [first, one], { into: [first], commit });
  const next = graph.one("add", [second, one]);
  graph.one("copy", [next], { into: [second], commit });
  return new Program(graph);
}

export const pairSize = 4 * wide;
export const pairInputs = { one: Int32Array.of(1) };

/** Every element has to be the same. @returns it */
export function uniform(region: Region): number {
  const values = new Int32Array(region.bytes(0, pairSize).buffer);
  const first = values[0]!;
  if (values.some((value) => value !== first)) throw new Error("a step was left half done");
  return first;
}
