/**
 * A small program that runs often: its arguments stay, and a run costs little more than the call.
 */
import { RunStatusLayout } from "./abi.gen.ts";
import { check, core } from "./core.ts";
import { allocating } from "./out-of-memory.ts";
import { type NativeProgram, throwUnlessDone } from "./run.ts";
import { RunArgs, type RunShape } from "./run-args.ts";
import { decodeStruct } from "./structs.ts";

export class PreparedRun {
  readonly program: NativeProgram;
  /** Of the next run. */
  readonly args: RunArgs;
  readonly #status = new Uint8Array(RunStatusLayout.size);
  readonly #ticket = new Uint32Array(1);

  constructor(program: NativeProgram, shape: RunShape) {
    this.program = program;
    this.args = new RunArgs(shape);
  }

  /** Runs at once on this thread. For small programs: the core refuses costly ones. */
  now(): void {
    const { handle } = this.program;
    const { bytes } = this.args;
    allocating(bytes.byteLength, () => {
      check(core().bn_run_now(handle, bytes, bytes.byteLength, this.#status), "running");
    });
    throwUnlessDone(decodeStruct(RunStatusLayout, this.#status));
  }

  /** Runs on the core's threads while this one waits. */
  wait(): void {
    const { bn_run_submit, bn_run_wait, bn_run_poll, bn_run_release } = core();
    const { handle } = this.program;
    const { bytes } = this.args;
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
}
