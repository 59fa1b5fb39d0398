/**
 * The arguments of a program that runs often, written in place: one buffer that keeps what does
 * not change from run to run, so that a small run costs little more than the call.
 */
import { RegionBindingLayout, RunArgsLayout, RunStatusLayout } from "./abi.gen.ts";
import { check, core } from "./core.ts";
import { allocating } from "./out-of-memory.ts";
import type { Region } from "./region.ts";
import { type NativeProgram, type RunOptions, submitArgs, throwUnlessDone } from "./run.ts";
import { decodeStruct, encodeStruct } from "./structs.ts";

const inputAlignment = 64;
const handleAt = RegionBindingLayout.fields.handle[0];
const offsetAt = RegionBindingLayout.fields.offset[0];

export interface PreparedShape {
  /** Regions of the program, its arena included. */
  regionCount: number;
  /** Bytes of each input region, in order. */
  inputSizes: readonly number[];
}

export class PreparedRun {
  readonly program: NativeProgram;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #inputStarts: number[] = [];
  readonly #status = new Uint8Array(RunStatusLayout.size);
  readonly #ticket = new Uint32Array(1);

  constructor(program: NativeProgram, { regionCount, inputSizes }: PreparedShape) {
    this.program = program;
    let size = RunArgsLayout.size + regionCount * RegionBindingLayout.size;
    for (const inputSize of inputSizes) {
      this.#inputStarts.push(size);
      size += Math.ceil(inputSize / inputAlignment) * inputAlignment;
    }
    this.#bytes = new Uint8Array(size);
    this.#view = new DataView(this.#bytes.buffer);
    const header = {
      size: RunArgsLayout.size,
      steps: 1,
      region_count: regionCount,
      sym_count: 0,
      thread_count: 0,
    };
    encodeStruct(RunArgsLayout, header, { view: this.#view, offset: 0 });
  }

  /** Binds region `index` of the program, `offset` bytes (a multiple of 64) into the region. */
  bind(index: number, region: Region, offset: number): void {
    const at = RunArgsLayout.size + index * RegionBindingLayout.size;
    this.#view.setUint32(at + handleAt, region.handle, true);
    this.#view.setUint32(at + offsetAt, offset >>> 0, true);
    this.#view.setUint32(at + offsetAt + 4, Math.floor(offset / 2 ** 32), true);
  }

  /** The bytes that input `index` of the next run will hold. */
  input(index: number): Uint8Array {
    return this.#bytes.subarray(this.#inputStarts[index]!, this.#inputStarts[index + 1]);
  }

  /** Runs at once on this thread. For small programs: the core refuses costly ones. */
  now(): void {
    const { handle } = this.program;
    const bytes = this.#bytes;
    allocating(bytes.byteLength, () => {
      check(core().bn_run_now(handle, bytes, bytes.byteLength, this.#status), "running");
    });
    throwUnlessDone(decodeStruct(RunStatusLayout, this.#status));
  }

  /** Runs on the core's threads while this one waits. */
  wait(): void {
    const { bn_run_submit, bn_run_wait, bn_run_poll, bn_run_release } = core();
    const { handle } = this.program;
    const bytes = this.#bytes;
    allocating(bytes.byteLength, () => {
      check(bn_run_submit(handle, bytes, bytes.byteLength, this.#ticket), "submitting");
    });
    const ticket = this.#ticket[0]!;
    try {
      check(bn_run_wait(ticket, 0xffff_ffff), "waiting for a run");
      check(bn_run_poll(ticket, this.#status), "polling a run");
    } finally {
      bn_run_release(ticket);
    }
    throwUnlessDone(decodeStruct(RunStatusLayout, this.#status));
  }

  /** Runs off the event loop; see `submitRun`. The arguments may change as soon as it returns. */
  submit(options: RunOptions = {}): Promise<number> {
    return submitArgs(this.program, this.#bytes, options);
  }
}
