/**
 * Runs traces. Those of one structure share a Program; the ones used last are kept. What a trace
 * keeps gets memory: small tensors share a region, large ones have their own.
 */
import { BitNetError } from "../errors/index.ts";
import {
  type CompileOptions,
  encodeProgram,
  foldConstants,
  type Node,
  type ProgramPlan,
  planGraph,
  reads,
  type Storage,
} from "../graph/index.ts";
import { type Reclaimable, ReclaimPriority, reclaimers } from "../memory/index.ts";
import {
  type BackgroundRun,
  NativeProgram,
  PreparedRun,
  passingArenaMin,
  placeSize,
  Region,
  RunArgs,
} from "../native/index.ts";
import { NumberStorage } from "./numbers.ts";
import { settle } from "./tape.ts";

const programsMax = 512;
/** From here on a tensor has a region of its own. */
const ownRegionMin = 64 << 10;
/** Simple operations that are done on the caller's thread alone: about ten microseconds. */
const inlineWorkMax = 80_000;

/** What a run reads and makes. */
export interface Memory {
  /** Memory that is there: of tensors, and numbers. */
  leaves: readonly Storage[];
  /** What gets memory that outlives the run. */
  roots: readonly Storage[];
  /** Values of the Program's symbols, by name. */
  sizes?: Readonly<Record<string, number>> | undefined;
}

export interface Trace extends Memory {
  nodes: readonly Node[];
  /** Equal for traces that the same Program runs. */
  key: string;
}

export interface Compiled {
  run: PreparedRun;
  plan: ProgramPlan;
  /** Bytes of working memory that it keeps. */
  arenaSize: number;
  isSmall: boolean;
  /** Which of its leaves it writes to. */
  written: readonly number[];
}

const compiled = new Map<string, Compiled>();
/** What compiling one takes, about. */
const compileSeconds = 0.001;
let usedAt = 0;
let running: Compiled | undefined;
let isReclaimable = false;

/**
 * Computes the roots; on the way out they have their memory, or are as they were before.
 * @throws BitNetError `native/run-failed` for data that an instruction refuses,
 * `native/out-of-memory`; memory that the trace writes to in place is marked with it
 */
export function runTrace(trace: Trace): void {
  execute(programOf(trace), trace);
}

/** Runs a compiled trace with this memory; see `runTrace`. */
export function execute(program: Compiled, memory: Memory): void {
  const { run, isSmall, written } = program;
  const { leaves, roots } = memory;
  running = program;
  try {
    bind(program, memory);
    if (isSmall) run.now();
    else run.here();
  } catch (error) {
    forgo(roots);
    if (error instanceof BitNetError) for (const index of written) leaves[index]!.failure = error;
    throw error;
  } finally {
    running = undefined;
    usedAt = performance.now();
  }
  for (const root of roots) settle(root);
}

/** A trace that runs while JavaScript goes on. Nothing reads its roots before it has landed. */
export class Flight {
  readonly roots: ReadonlySet<Storage>;
  /** Resolves when it has landed, however it ended. */
  readonly landed: Promise<void>;
  readonly #run: BackgroundRun;
  #isLanded = false;
  #error: BitNetError | undefined;

  /**
   * Starts a trace that writes to no memory but its roots'.
   * @throws BitNetError `native/out-of-memory`
   */
  constructor(trace: Trace) {
    const program = programOf(trace);
    this.roots = new Set(trace.roots);
    try {
      bind(program, trace);
      this.#run = program.run.start();
    } catch (error) {
      forgo(trace.roots);
      throw error;
    }
    usedAt = performance.now();
    this.landed = this.#run.ended.then(() => this.#land());
  }

  /** What the run ended with. */
  get error(): BitNetError | undefined {
    return this.#error;
  }

  /** Blocks this thread until it has landed. */
  join(): void {
    this.#run.wait();
    this.#land();
  }

  /** The roots have their memory, or are as they were before. */
  #land(): void {
    if (this.#isLanded) return;
    this.#isLanded = true;
    try {
      this.#run.throwUnlessDone();
      for (const root of this.roots) settle(root);
    } catch (error) {
      if (!(error instanceof BitNetError)) throw error;
      this.#error = error;
      forgo(this.roots);
    }
  }
}

/** Memory for what is made, and the arguments of the next run. */
function bind({ run: { args }, plan }: Compiled, { leaves, roots, sizes }: Memory): void {
  allocate(roots);
  for (const [index, { name }] of plan.syms.entries()) args.setSym(index, sizes![name]!);
  let index = 1;
  let inputs = 0;
  for (const storage of leaves) {
    if (storage instanceof NumberStorage && storage.kind === "input")
      args.input(inputs++).set(storage.bytes);
    else args.bind(index, storage.region!, storage.base!);
    index += 1;
  }
  for (const { region, base } of roots) args.bind(index++, region!, base!);
}

/** What was to be made is as it was before. */
function forgo(roots: Iterable<Storage>): void {
  for (const root of roots) {
    root.kind = "arena";
    if (root.size >= ownRegionMin) root.region?.[Symbol.dispose]();
    root.region = undefined;
  }
}

function programOf(trace: Trace): Compiled {
  const known = compiled.get(trace.key);
  if (known) {
    // The one used last is the last one, which matters once some have to go.
    if (compiled.size > programsMax / 2) {
      compiled.delete(trace.key);
      compiled.set(trace.key, known);
    }
    for (const root of trace.roots) root.kind = "state";
    return known;
  }
  const fresh = compileTrace(trace);
  if (!isReclaimable) reclaimers.register(idlePrograms);
  isReclaimable = true;
  compiled.set(trace.key, fresh);
  if (compiled.size > programsMax) {
    const [oldest] = compiled.keys();
    compiled.get(oldest!)!.run.program[Symbol.dispose]();
    compiled.delete(oldest!);
  }
  return fresh;
}

/** All Programs but one that is running. */
function idlePrograms(): Reclaimable[] {
  const idle = [...compiled].filter(([, program]) => program !== running);
  const bytes = idle.reduce((sum, [, { arenaSize }]) => sum + arenaSize, 0);
  if (idle.length === 0) return [];
  return [
    {
      name: `${idle.length} Programs of tensors`,
      device: "cpu",
      priority: ReclaimPriority.quick,
      bytes,
      usedAt,
      costSeconds: idle.length * compileSeconds,
      reuseCount: 0,
      reclaim() {
        let won = 0;
        slab = noPlace;
        for (const [key, program] of [...compiled]) {
          if (program === running) continue;
          program.run.program[Symbol.dispose]();
          compiled.delete(key);
          won += program.arenaSize;
        }
        return won;
      },
    },
  ];
}

/** A Program of the trace. Roots are as if computed, without memory. */
export function compileTrace(
  { nodes, leaves, roots }: Trace,
  options: CompileOptions = {},
): Compiled {
  for (const root of roots) root.kind = "output";
  // Two names may stand for the same memory as long as nothing writes to it.
  const written = new Set(nodes.flatMap(({ outputs }) => outputs.map(({ storage }) => storage)));
  const read = leaves.filter((leaf) => leaf.kind === "state" && !written.has(leaf));
  for (const leaf of read) leaf.kind = "constant";
  const storages = [...leaves, ...roots];
  const { plan, program } = planned({ nodes, storages, options }, () => {
    for (const leaf of read) leaf.kind = "state";
    for (const root of roots) root.kind = "arena";
  });
  for (const root of roots) root.kind = "state";
  const numbers = leaves.filter((storage) => storage.kind === "input");
  const args = new RunArgs({
    regionCount: storages.length + 1,
    symCount: plan.syms.length,
    inputSizes: numbers.map(({ size }) => size),
  });
  const work = plan.steps.reduce((sum, step) => sum + step.work, 0);
  const { size } = plan.arena;
  const arenaSize = size < passingArenaMin ? size : 0;
  const isSmall = work <= inlineWorkMax;
  const run = new PreparedRun(program, args);
  return { run, plan, arenaSize, isSmall, written: indicesOf(leaves, written) };
}

interface Planned {
  nodes: readonly Node[];
  storages: readonly Storage[];
  options: CompileOptions;
}

/** The Program of instructions; `restore` puts back what their storages were marked as. */
function planned({ nodes, storages, options }: Planned, restore: () => void) {
  try {
    const named = new Map(storages.map((storage, index) => [String(index), storage]));
    const plan = planGraph({ nodes, feedbacks: [], storages: named }, options);
    return { plan, program: new NativeProgram(encodeProgram(plan), plan.steps.length) };
  } finally {
    restore();
  }
}

function indicesOf(leaves: readonly Storage[], among: ReadonlySet<Storage>): number[] {
  return leaves.flatMap((leaf, index) => (among.has(leaf) ? [index] : []));
}

/**
 * The trace as a function's: its roots are results, and its numbers, and tensors that were made
 * while it was recorded, stay as they are.
 */
export function settleTrace({ leaves, roots }: Trace): void {
  for (const leaf of leaves) {
    if (leaf instanceof NumberStorage) leaf.settle();
    // Writing to it elsewhere must not change what the function computes.
    else if (leaf.isKnown) leaf.borrowed = true;
  }
  for (const [index, root] of roots.entries()) root.name = `result ${index}`;
}

/**
 * The settled trace without what can be computed now.
 * @throws BitNetError `native/run-failed` for data that an instruction refuses
 */
export function foldTrace({ nodes, leaves, roots, key }: Trace): Trace {
  for (const root of roots) root.kind = "output";
  const storages = new Map(leaves.map((storage, index) => [String(index), storage]));
  const folded = foldConstants({ nodes, feedbacks: [], storages });
  for (const [index, storage] of folded.made.entries()) {
    storage.kind = "state";
    storage.name = `made ${index}`;
    storage.producer = undefined;
    storage.borrowed = true;
  }
  const touched = new Set(
    folded.nodes.flatMap((node) => [...reads(node), ...node.outputs].map((one) => one.storage)),
  );
  const left = [...leaves, ...folded.made].filter((storage) => touched.has(storage));
  return { nodes: folded.nodes, leaves: left, roots, key };
}

/** Instructions write all of what they make, or fail; then nobody gets to see it. */
const wholeResults = { tag: "tensor", uninitialised: true } as const;

/** Memory for what is kept. */
function allocate(roots: readonly Storage[]): void {
  let shared = 0;
  for (const { size } of roots) if (size < ownRegionMin) shared += placeSize(size);
  let { region, base } = shared > 0 ? sharedPlace(shared) : noPlace;
  for (const root of roots) {
    if (root.size >= ownRegionMin) {
      root.region = Region.create(root.size, wholeResults);
      root.base = 0;
      continue;
    }
    root.region = region;
    root.base = base;
    base += placeSize(root.size);
  }
}

const noPlace = { region: undefined, base: 0 };

/** Results smaller than this are cut from one region until it is used up. */
const slabResultMax = 512;
/** Little more than what JavaScript keeps for a tensor, should one of them stay for long. */
const slabSize = 2048;
let slab: { region: Region | undefined; base: number } = noPlace;

function sharedPlace(size: number): { region: Region | undefined; base: number } {
  if (size > slabResultMax) return { region: Region.create(size, wholeResults), base: 0 };
  if (!slab.region || slab.base + size > slabSize) {
    slab = { region: Region.create(slabSize, wholeResults), base: 0 };
  }
  const place = { ...slab };
  slab.base += size;
  return place;
}
