/**
 * Runs of Programs with arguments of their own: at once on this thread, or natively, off the event
 * loop, where JavaScript is woken after each step. Aborting, failing and ending all settle the
 * run's promise, and only then are its regions free.
 */
import { BackgroundRun } from "./background-run.ts";
import { PreparedRun } from "./prepared-run.ts";
import type { NativeProgram } from "./program.ts";
import type { Region } from "./region.ts";
import { type Reading, RunArgs } from "./run-args.ts";
import { abortError } from "./run-end.ts";

/** What a run needs besides its program. */
export interface RunRequest {
  program: NativeProgram;
  steps?: number;
  /** 0 is the core's default. */
  threads?: number;
  /** By region of the program; null for arenas and inputs. */
  bindings: readonly (RegionPlace | null)[];
  /** Values of the symbols. */
  syms: readonly number[];
  /** Bytes of the input regions in order, each of the region's full size. */
  inputs: readonly Uint8Array[];
  reading?: Reading | undefined;
}

export interface RegionPlace {
  region: Region;
  offset?: number;
}

export interface RunOptions {
  signal?: AbortSignal;
  /** Called on the event loop with the steps done so far. */
  onStep?: (stepsDone: number) => void;
}

/** Runs at once on this thread. For small programs: the core refuses costly ones. */
export function runNow(request: RunRequest): void {
  new PreparedRun(request.program, argsOf(request)).now();
}

/**
 * Submits a run; resolves with the steps done when it has ended, early ends included.
 * @throws BitNetError `native/aborted` on the signal, `native/run-failed` on bad data, `native/io`
 * for what it was to read, `native/invalid-argument`, and what `onStep` throws, which ends the run.
 */
export async function submitRun(request: RunRequest, options: RunOptions = {}): Promise<number> {
  const { signal, onStep } = options;
  const args = argsOf(request);
  if (signal?.aborted) throw abortError();
  const run = new BackgroundRun(request.program, args.bytes, onStep);
  const cancel = (): void => run.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  await run.ended;
  signal?.removeEventListener("abort", cancel);
  run.throwUnlessDone(request.reading);
  return run.stepsDone;
}

function argsOf(request: RunRequest): RunArgs {
  const { bindings, syms, inputs, steps, threads, reading } = request;
  const args = new RunArgs({
    steps,
    threads,
    regionCount: bindings.length,
    symCount: syms.length,
    inputSizes: inputs.map((input) => input.byteLength),
    reading,
  });
  bindings.forEach((place, index) => {
    if (place) args.bind(index, place.region, place.offset ?? 0);
  });
  syms.forEach((value, index) => {
    args.setSym(index, value);
  });
  inputs.forEach((input, index) => {
    args.input(index).set(input);
  });
  return args;
}
