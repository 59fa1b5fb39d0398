/**
 * A compiled Program: validated by the core, bound to its weights, ready to run with any sizes up
 * to its symbols' largest.
 */
import {
  alignedSize,
  NativeProgram,
  pagePositions,
  type Reading,
  type Region,
  type RegionPlace,
  type RunRequest,
  runNow,
  submitRun,
} from "../native/index.ts";
import { type CompileOptions, type ProgramPlan, planGraph } from "./compile.ts";
import { extentAt, extentMax, type Sym } from "./dims.ts";
import { encodeProgram } from "./encode.ts";
import { explainPlan } from "./explain.ts";
import type { ProgramMemory } from "./memory.ts";
import { bytesOf } from "./ops.ts";
import { reads } from "./passes/rewriting.ts";
import type { Step } from "./plan.ts";
import { ProfileMeter, type ProfileOptions } from "./profile/meter.ts";
import type { ProgramProfile } from "./profile/rows.ts";
import type { Recorded } from "./record.ts";
import { elementSizes, type Storage, type Value } from "./value.ts";

export interface ProgramRun {
  /** Values of the symbols by name; those left out are at their largest. */
  syms?: Readonly<Record<string, number>>;
  /** Contents of the inputs by name, from their beginning; the rest is zero. */
  inputs?: Readonly<Record<string, ArrayBufferView>>;
  /** Regions for state and outputs by name; `offset` must be a multiple of 64. */
  regions?: Readonly<Record<string, Region | RegionPlace>>;
  /** A part of a file that is read into a region's beginning first; see `Reading`. */
  reading?: Omit<Reading, "region"> & { region: string };
  steps?: number;
  threads?: number;
  signal?: AbortSignal;
  onStep?: (stepsDone: number) => void;
}

export class Program implements Disposable {
  readonly native: NativeProgram;
  readonly steps: readonly Step[];
  /** What it takes at its largest sizes; `arena` is the planned peak of intermediate values. */
  readonly memory: ProgramMemory;
  readonly #plan: ProgramPlan;
  #meter: ProfileMeter | undefined;
  readonly #storages: readonly Storage[];
  readonly #syms: readonly Sym[];

  constructor(graph: Recorded, options: CompileOptions = {}) {
    const plan = planGraph(graph, options);
    this.steps = plan.steps;
    this.memory = plan.memory;
    this.#plan = plan;
    this.#storages = plan.storages;
    this.#syms = plan.syms;
    this.native = new NativeProgram(encodeProgram(plan), this.steps.length);
  }

  /** Runs off the event loop; resolves with the steps done. */
  async submit(run: ProgramRun): Promise<number> {
    const steps = await submitRun(this.#request(run), run);
    this.#meter?.add(this.#symsOf(run), steps);
    return steps;
  }

  /** Runs on this thread, at once; small programs only. */
  now(run: ProgramRun): void {
    runNow(this.#request(run));
    this.#meter?.add(this.#symsOf(run), run.steps ?? 1);
  }

  /**
   * Bytes of constants and state that one step reads, at given sizes and depth of the cache; of a
   * head that is screened, `refined` is the share of rows whose low plane is read.
   */
  bytesRead(syms: Readonly<Record<string, number>>, depth: number, refined = 1): number {
    let sum = 0;
    const seen = new Set<Value>();
    for (const { node } of this.steps) {
      for (const value of reads(node)) {
        if (value.storage.kind === "constant") {
          // What screening has read of the head is not read again, or small.
          if (seen.has(value)) continue;
          seen.add(value);
          const share = node.op === "head_refine" ? refined : 1;
          const rows = node.op === "embedding" ? node.outputs[0]! : null;
          sum += share * constantBytes(value, rows, syms);
        } else if (node.op === "attention" && value.storage.kind === "state") {
          // (pages, groups, width, positions) or its transpose: all but pages times depth.
          const [, groups, a, b] = value.dims.map(extentMax);
          const width = (a! * b!) / pagePositions;
          sum += depth * groups! * width * elementSizes[value.dtype];
        }
      }
    }
    return sum;
  }

  /** The instructions, one a line, and the memory they need, for people. */
  explain(): string {
    return explainPlan(this.#plan);
  }

  /** Takes the time of every instruction from now on. */
  startProfile(options: ProfileOptions = {}): void {
    this.#meter ??= new ProfileMeter(this.native, this.steps, options);
  }

  /** What its runs since `startProfile` spent their time on; undefined without. */
  profile(name = ""): ProgramProfile | undefined {
    return this.#meter?.read(name);
  }

  [Symbol.dispose](): void {
    this.native[Symbol.dispose]();
  }

  #symsOf({ syms = {} }: ProgramRun): Record<string, number> {
    return Object.fromEntries(this.#syms.map(({ name, max }) => [name, syms[name] ?? max]));
  }

  #request(run: ProgramRun): RunRequest {
    const { syms = {}, inputs = {}, regions = {}, reading, steps, threads } = run;
    const known = new Set(this.#storages.map(({ name }) => name));
    for (const name of [...Object.keys(inputs), ...Object.keys(regions)]) {
      if (!known.has(name)) throw new Error(`the program has no region named ${name}`);
    }
    const bindings: RunRequest["bindings"][number][] = [null];
    const contents: Uint8Array[] = [];
    for (const storage of this.#storages) {
      const region = storage.region ?? regions[storage.name];
      if (storage.kind === "input") {
        contents.push(inputBytes(storage, inputs[storage.name]));
        bindings.push(null);
      } else if (region) {
        bindings.push("region" in region ? region : { region });
      } else {
        throw new Error(`the region ${storage.name} is not bound`);
      }
    }
    return {
      program: this.native,
      bindings,
      syms: this.#syms.map((sym) => syms[sym.name] ?? sym.max),
      inputs: contents,
      steps,
      threads,
      ...(reading && { reading: { ...reading, region: this.#regionOf(reading.region) } }),
    };
  }

  /** The number that the core knows a region by; the arena is the first. */
  #regionOf(name: string): number {
    const index = this.#storages.findIndex((storage) => storage.name === name);
    if (index < 0) throw new Error(`the program has no region named ${name}`);
    return index + 1;
  }
}

/** The input's region: its content, then zeros. */
function inputBytes(storage: Storage, content: ArrayBufferView | undefined): Uint8Array {
  if (!content) throw new Error(`the input ${storage.name} is missing`);
  if (content.byteLength > storage.size) {
    throw new Error(
      `the input ${storage.name}: ${content.byteLength} bytes, at most ${storage.size}`,
    );
  }
  const size = alignedSize(storage.size);
  const source = new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
  if (source.byteLength === size) return source;
  const bytes = new Uint8Array(size);
  bytes.set(source);
  return bytes;
}

function constantBytes(
  value: Value,
  rows: Value | null,
  syms: Readonly<Record<string, number>>,
): number {
  const extents = value.dims.map((dim) => extentAt(dim, syms));
  // Of an embedding table only the rows that are looked up are read.
  if (rows && extents.length === 2) extents[0] = extentAt(rows.dims[0]!, syms);
  return bytesOf(value, extents, elementSizes[value.dtype]);
}
