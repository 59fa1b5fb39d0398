/**
 * A small program that runs often: its arguments stay, and a run costs little more than the call.
 */
import { RunState, RunStatusLayout, Status } from "./abi.gen.ts";
import { BackgroundRun } from "./background-run.ts";
import { check, core } from "./core.ts";
import { allocating } from "./out-of-memory.ts";
import { type NativeProgram, throwUnlessDone } from "./run.ts";
import { RunArgs, type RunShape } from "./run-args.ts";
import { decodeStruct } from "./structs.ts";

/** The state's place among the words of a status. */
const stateAt = RunStatusLayout.fields.state[0] / 4;

export class PreparedRun {
  readonly program: NativeProgram;
  /** Of the next run. */
  readonly args: RunArgs;
  readonly #status = new Uint8Array(RunStatusLayout.size);
  readonly #words = new Uint32Array(this.#status.buffer);
  readonly #ticket = new Uint32Array(1);

  constructor(program: NativeProgram, shape: RunShape) {
    this.program = program;
    this.args = new RunArgs(shape);
  }

  /** Runs at once on this thread. For small programs: the core refuses costly ones. */
  now(): void {
    const { handle } = this.program;
    const { bytes } = this.args;
    const { bn_run_now } = core();
    const status = bn_run_now(handle, bytes, bytes.byteLength, this.#status);
    if (status === Status.out_of_memory) {
      allocating(bytes.byteLength, () => {
        check(bn_run_now(handle, bytes, bytes.byteLength, this.#status), "running");
      });
    } else {
      check(status, "running");
    }
    this.#throwUnlessDone();
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
    this.#throwUnlessDone();
  }

  /** Runs on the core's threads while this one goes on. */
  start(): BackgroundRun {
    return new BackgroundRun(this.program, this.args.bytes);
  }

  #throwUnlessDone(): void {
    if (this.#words[stateAt] === RunState.done) return;
    throwUnlessDone(decodeStruct(RunStatusLayout, this.#status));
  }
}
