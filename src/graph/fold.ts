/**
 * Constant folding: instructions that read only what is known when a Program is made are run then,
 * once, and their results are constants of the Program.
 */
import { NativeProgram, PreparedRun, Region, RunArgs } from "../native/index.ts";
import { planGraph } from "./compile.ts";
import { encodeProgram } from "./encode.ts";
import { isPlain, reads } from "./passes/rewriting.ts";
import type { Recorded } from "./record.ts";
import type { Node, Storage } from "./value.ts";

/** What is larger is computed by each run: it may well be cheaper to make than to keep. */
const resultSizeMax = 1 << 20;
const sumSizeMax = 16 << 20;

export interface Folded {
  /** Those that are left to run. */
  nodes: readonly Node[];
  /** Constants that were made, each with its region. */
  made: Storage[];
}

/**
 * Runs what can be run now. The storages of its results become constants, with memory of their own.
 * @throws BitNetError `native/run-failed` for data that an instruction refuses
 */
export function foldConstants({ nodes, feedbacks, storages }: Recorded): Folded {
  const known = new Set([...storages.values()].filter((storage) => storage.isKnown));
  if (known.size === 0) return { nodes, made: [] };
  for (const { outputs } of nodes) for (const { storage } of outputs) known.delete(storage);
  for (const { to } of feedbacks) known.delete(to.storage);
  const folded = foldable(nodes, known);
  if (folded.size === 0) return { nodes, made: [] };
  const left = nodes.filter((node) => !folded.has(node));
  const wanted = new Set(left.flatMap((node) => reads(node).map(({ storage }) => storage)));
  for (const { from } of feedbacks) wanted.add(from.storage);
  const made = [...folded]
    .flatMap(({ outputs }) => outputs.map(({ storage }) => storage))
    .filter((storage) => wanted.has(storage));
  run([...folded], known, made);
  return { nodes: left, made };
}

/** Instructions, in order, all of whose operands are known or made by others of them. */
function foldable(nodes: readonly Node[], known: ReadonlySet<Storage>): Set<Node> {
  const ready = new Set(known);
  const folded = new Set<Node>();
  const writes = new Map<Storage, number>();
  for (const { outputs } of nodes) {
    for (const { storage } of outputs) writes.set(storage, (writes.get(storage) ?? 0) + 1);
  }
  let sum = 0;
  for (const node of nodes) {
    const results = node.outputs.map(({ storage }) => storage);
    const size = results.reduce((total, storage) => total + storage.size, 0);
    const isOwn =
      results.every(({ kind }) => kind === "arena") &&
      results.every((storage) => writes.get(storage) === 1);
    if (!isPlain(node) || !isOwn || size > resultSizeMax || sum + size > sumSizeMax) continue;
    if (!reads(node).every(({ storage }) => ready.has(storage))) continue;
    folded.add(node);
    for (const storage of results) ready.add(storage);
    sum += size;
  }
  return folded;
}

/** Runs the instructions with memory for what is wanted of them. */
function run(
  nodes: readonly Node[],
  known: ReadonlySet<Storage>,
  wanted: readonly Storage[],
): void {
  const used = new Set(nodes.flatMap((node) => reads(node).map(({ storage }) => storage)));
  const given = [...used].filter((storage) => known.has(storage));
  const kinds = given.map(({ kind }) => kind);
  for (const storage of given) storage.kind = "constant";
  for (const storage of wanted) storage.kind = "output";
  const bound = [...given, ...wanted];
  try {
    const storages = new Map(bound.map((storage, index) => [String(index), storage]));
    const plan = planGraph({ nodes, feedbacks: [], storages });
    using program = new NativeProgram(encodeProgram(plan), plan.steps.length);
    const args = new RunArgs({ regionCount: bound.length + 1, inputSizes: [] });
    const prepared = new PreparedRun(program, args);
    for (const storage of wanted) {
      storage.region = Region.create(Math.max(1, storage.size), { tag: "tensor" });
      storage.base = 0;
    }
    for (const [index, { region, base = 0 }] of bound.entries()) {
      prepared.args.bind(index + 1, region!, base);
    }
    prepared.here();
    for (const storage of wanted) {
      storage.kind = "constant";
      storage.isKnown = true;
    }
  } catch (error) {
    for (const storage of wanted) {
      storage.region?.[Symbol.dispose]();
      storage.region = undefined;
      storage.kind = "arena";
    }
    throw error;
  } finally {
    given.forEach((storage, index) => {
      storage.kind = kinds[index]!;
    });
  }
}
