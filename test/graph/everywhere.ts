/**
 * Runs a recorded graph on every instruction-set level of this machine and on 1, 2, 3 and 8
 * threads, and expects the same bits each time. Instructions are shared among the workers with a
 * barrier before each, even those that a Program would leave to one.
 */
import { expect } from "bun:test";
import { planGraph } from "../../src/graph/compile.ts";
import { type Encodable, encodeProgram } from "../../src/graph/encode.ts";
import type { Graph } from "../../src/graph/index.ts";
import { opTable } from "../../src/graph/ops.ts";
import {
  coreInfo,
  NativeProgram,
  openCore,
  Region,
  type RunRequest,
  submitRun,
} from "../../src/native/index.ts";

export const threadCounts = [1, 2, 3, 8];

/** What regions that a run writes hold before it, and what stands behind their end. */
const usualFill = 0x55;
const guardSize = 64;

export interface EverywhereOptions {
  inputs?: Readonly<Record<string, ArrayBufferView>>;
  /** First content of state regions; the others are filled with a pattern. */
  states?: Readonly<Record<string, ArrayBufferView>>;
  syms?: Readonly<Record<string, number>>;
  steps?: number;
  fuse?: boolean;
  /** Byte that regions without content are filled with before the run; 0x55 by default. */
  fill?: number;
  /**
   * For ops that may fuse multiply and add: levels differ by at most this in any f32 of the result.
   * For one level the bits are still the same on all threads.
   */
  betweenLevels?: number;
}

/** Bytes of state and output regions by name. */
export type Results = Record<string, Uint8Array<ArrayBuffer>>;

/** The graph as it is planned, but with every instruction shared that may be. */
export function planShared(graph: Graph, options: { fuse?: boolean } = {}): Encodable {
  const plan = planGraph(graph, { fuse: false, ...options });
  const steps = plan.steps.map((step) => ({
    ...step,
    serial: opTable[step.node.op].serial === true,
    barrier: true,
  }));
  return { ...plan, steps };
}

/** What the graph leaves in its regions; the same on every level and for every thread count. */
export async function everywhere(graph: Graph, options: EverywhereOptions = {}): Promise<Results> {
  const plan = planShared(graph, options);
  using program = new NativeProgram(encodeProgram(plan), plan.steps.length);
  let first: Results | undefined;
  try {
    for (const isa of coreInfo().isaLevels) {
      openCore({ isa });
      if (options.betweenLevels !== undefined) {
        const got = await runOnce(plan, { ...options, program, threads: 1 });
        if (first) expectNear(got, first, options.betweenLevels);
        first = got;
      }
      for (const threads of threadCounts) {
        const got = await runOnce(plan, { ...options, program, threads });
        first ??= got;
        for (const name of Object.keys(got)) {
          if (Buffer.compare(got[name]!, first[name]!) === 0) continue;
          throw new Error(`${name} differs on ${isa} with ${threads} threads`);
        }
      }
    }
  } finally {
    openCore();
  }
  return first!;
}

function expectNear(got: Results, want: Results, tolerance: number): void {
  for (const name of Object.keys(got)) {
    const wanted = floats(want[name]!);
    floats(got[name]!).forEach((value, index) => {
      const difference = Math.abs(value - wanted[index]!);
      if (difference > tolerance) throw new Error(`${name}[${index}] is ${difference} off`);
    });
  }
}

interface RunOnce extends EverywhereOptions {
  program: NativeProgram;
  threads: number;
}

async function runOnce(plan: Encodable, options: RunOnce): Promise<Results> {
  const { program, threads, inputs = {}, states = {}, syms = {}, steps } = options;
  const { fill = usualFill } = options;
  using stack = new DisposableStack();
  const written: Record<string, Region> = {};
  const bindings: RunRequest["bindings"][number][] = [null];
  const contents: Uint8Array[] = [];
  for (const storage of plan.storages) {
    if (storage.kind === "input") {
      contents.push(inputBytes(storage.size, inputs[storage.name]));
      bindings.push(null);
    } else if (storage.region) {
      bindings.push({ region: storage.region });
    } else {
      const region = stack.use(Region.create(Math.max(1, storage.size) + guardSize));
      region.bytes().fill(fill);
      const content = states[storage.name];
      if (content) region.bytes().set(bytesOf(content));
      written[storage.name] = region;
      bindings.push({ region });
    }
  }
  const values = plan.syms.map((sym) => syms[sym.name] ?? sym.max);
  await submitRun({ program, bindings, syms: values, inputs: contents, steps, threads });
  const results: Results = {};
  for (const { name, size } of plan.storages) {
    const region = written[name];
    if (!region) continue;
    expect(region.bytes(Math.max(1, size)).every((byte) => byte === fill)).toBe(true);
    results[name] = new Uint8Array(region.bytes(0, size));
  }
  return results;
}

function inputBytes(size: number, content: ArrayBufferView | undefined): Uint8Array {
  if (!content || content.byteLength > size) {
    throw new Error(`want an input of at most ${size} bytes, got ${content?.byteLength}`);
  }
  const bytes = new Uint8Array(size);
  bytes.set(bytesOf(content));
  return bytes;
}

export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

export function floats(bytes: Uint8Array<ArrayBuffer>): Float32Array {
  return new Float32Array(bytes.buffer);
}

/** A region with this content, as a weight of it at `offset`; the bytes are copied. */
export function regionOf(content: ArrayBufferView, offset = 0): Region {
  const region = Region.create(offset + Math.max(1, content.byteLength));
  region.bytes(offset).set(bytesOf(content));
  return region;
}

/** A region for each, freed together. */
export function regionsOf(...contents: ArrayBufferView[]): { all: Region[] } & Disposable {
  const all = contents.map((content) => regionOf(content));
  return {
    all,
    [Symbol.dispose]: () => {
      for (const region of all) region[Symbol.dispose]();
    },
  };
}
