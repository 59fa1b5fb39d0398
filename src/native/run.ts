/**
 * Programs of the core and their runs. A run goes on natively, off the event loop; JavaScript is
 * woken after each step. Aborting, failing and ending all settle the run's promise, and only then
 * are its regions free.
 */
import { BitNetError } from "../errors/index.ts";
import { ProfileEventLayout, RunState, RunStatusLayout } from "./abi.gen.ts";
import { check, core } from "./core.ts";
import { faultError, readingError } from "./faults.ts";
import { allocating } from "./out-of-memory.ts";
import { forgetterAddress, ownerOf } from "./owner.ts";
import type { Region } from "./region.ts";
import { type Reading, RunArgs } from "./run-args.ts";
import { decodeStruct } from "./structs.ts";
import { type Pending, watch } from "./wake.ts";

/** One instruction of a profiled run: its index, and when it ran by the monotonic clock. */
export interface ProfileEvent {
  startNs: number;
  durationNs: number;
  instr: number;
}

/** A validated Program of the core. One that is forgotten is released when it is collected. */
export class NativeProgram implements Disposable {
  #handle: number;
  #owner: ArrayBuffer | undefined;
  readonly instrCount: number;

  /** @throws BitNetError `native/invalid-program` naming the part that is wrong. */
  constructor(blob: Uint8Array, instrCount: number) {
    const handle = new Uint32Array(1);
    allocating(blob.byteLength, () => {
      check(core().bn_program_create(blob, blob.byteLength, handle), "creating a program");
    });
    this.#handle = handle[0]!;
    this.#owner = ownerOf("bn_program_forgetter", {
      handle: this.#handle,
      address: forgetterAddress("bn_program_forgetter"),
      size: 1,
    });
    this.instrCount = instrCount;
  }

  get handle(): number {
    if (this.#handle === 0) {
      throw new BitNetError("native/disposed", "the program was used after its release");
    }
    return this.#handle;
  }

  /**
   * From now on time is taken by instruction; see `profile`. The first start says how many single
   * instructions are kept besides, for `profileEvents`.
   */
  startProfile({ events = 0 }: { events?: number } = {}): void {
    check(core().bn_profile_set(this.handle, 1, events), "profiling");
  }

  stopProfile(): void {
    check(core().bn_profile_set(this.handle, 0, 0), "profiling");
  }

  /** Nanoseconds spent in each instruction so far. */
  profile(): Float64Array {
    const times = new Float64Array(this.instrCount);
    check(core().bn_profile_read(this.handle, times, times.length), "reading a profile");
    return times;
  }

  /** The first instructions that ran, up to `max`, and how many ran in all. */
  profileEvents(max: number): { events: ProfileEvent[]; count: number } {
    const { size } = ProfileEventLayout;
    const bytes = new Uint8Array(Math.max(1, max) * size);
    const seen = new Float64Array(1);
    check(core().bn_profile_events(this.handle, bytes, max, seen), "reading a profile");
    const words = new DataView(bytes.buffer);
    const kept = Math.min(seen[0]!, max);
    const { start_ns, duration_ns, instr } = ProfileEventLayout.fields;
    const events = Array.from({ length: kept }, (_, index) => ({
      startNs: Number(words.getBigUint64(index * size + start_ns[0], true)),
      durationNs: words.getUint32(index * size + duration_ns[0], true),
      instr: words.getUint32(index * size + instr[0], true),
    }));
    return { events, count: seen[0]! };
  }

  [Symbol.dispose](): void {
    if (this.#owner === undefined) return;
    this.#handle = 0;
    // Not by its handle: no deallocator must be left that could run once the handle is reused.
    this.#owner.transfer(0);
    this.#owner = undefined;
  }
}

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
  const args = encodeArgs(request);
  const status = new Uint8Array(RunStatusLayout.size);
  check(core().bn_run_now(request.program.handle, args, args.byteLength, status), "running");
  throwUnlessDone(decodeStruct(RunStatusLayout, status));
}

/**
 * Submits a run; resolves with the steps done when it has ended, early ends included.
 * @throws BitNetError `native/aborted` on the signal, `native/run-failed` on bad data, `native/io`
 * for what it was to read, `native/invalid-argument`, and what `onStep` throws, which ends the run.
 */
export async function submitRun(request: RunRequest, options: RunOptions = {}): Promise<number> {
  const { program } = request;
  const args = encodeArgs(request);
  if (options.signal?.aborted) throw abortError();
  const ticket = new Uint32Array(1);
  allocating(args.byteLength, () => {
    check(core().bn_run_submit(program.handle, args, args.byteLength, ticket), "submitting");
  });
  return new Promise((resolve, reject) => {
    const handle = ticket[0]!;
    // A Worker that is terminated leaves no run behind: its end cancels it.
    const address = forgetterAddress("bn_run_forgetter");
    const owner = ownerOf("bn_run_forgetter", { handle, address, size: 1 });
    const cancel = (): void => check(core().bn_run_cancel(handle), "cancelling a run");
    options.signal?.addEventListener("abort", cancel, { once: true });
    let stepsSeen = 0;
    let thrown: { error: unknown } | undefined;
    const statusBytes = new Uint8Array(RunStatusLayout.size);
    const pending: Pending = {
      poll() {
        check(core().bn_run_poll(handle, statusBytes), "polling a run");
        const status = decodeStruct(RunStatusLayout, statusBytes);
        if (status.steps_done > stepsSeen) {
          stepsSeen = status.steps_done;
          try {
            if (!thrown) options.onStep?.(stepsSeen);
          } catch (error) {
            thrown = { error };
            cancel();
          }
        }
        return status.state > RunState.running;
      },
      finish() {
        options.signal?.removeEventListener("abort", cancel);
        owner.transfer(0);
        try {
          if (thrown) throw thrown.error;
          const status = decodeStruct(RunStatusLayout, statusBytes);
          throwUnlessDone(status, request.reading);
          resolve(status.steps_done);
        } catch (error) {
          reject(error);
        }
      },
    };
    watch(pending);
  });
}

/** Turns the end of a run into its error. */
export function throwUnlessDone(
  status: ReturnType<typeof decodeStruct<typeof RunStatusLayout>>,
  reading?: Reading,
): void {
  if (status.state === RunState.done) return;
  if (status.state === RunState.aborted) throw abortError();
  const unread = reading && readingError(status.fault, reading.from);
  if (unread) throw unread;
  throw faultError(status.fault, status.fault_detail, status.instr);
}

function abortError(): BitNetError {
  return new BitNetError("native/aborted", "the run was aborted");
}

function encodeArgs(request: RunRequest): Uint8Array {
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
  return args.bytes;
}
