/**
 * A small program that runs often: its arguments stay, and a run costs little more than the call.
 */
import { RunState, RunStatusLayout, Status } from "./abi.gen.ts";
import { BackgroundRun } from "./background-run.ts";
import { check, core } from "./core.ts";
import { allocating } from "./out-of-memory.ts";
import type { NativeProgram } from "./program.ts";
import type { RunArgs } from "./run-args.ts";
import { throwUnlessDone } from "./run-end.ts";

/** The state's place among the words of a status. */
const stateAt = RunStatusLayout.fields.state[0] / 4;

export class PreparedRun {
  readonly program: NativeProgram;
  /** Of the next run. */
  readonly args: RunArgs;
  readonly #status = new Uint8Array(RunStatusLayout.size);
  readonly #words = new Uint32Array(this.#status.buffer);

  constructor(program: NativeProgram, args: RunArgs) {
    this.program = program;
    this.args = args;
  }

  /** Runs at once on this thread. For small programs: the core refuses costly ones. */
  now(): void {
    const { handle } = this.program;
    this.#run(core().bn_run_now, handle, this.args.bytes);
  }

  /** Runs on this thread and the core's others, where the program is worth them. */
  here(): void {
    const { handle } = this.program;
    this.#run(core().bn_run_here, handle, this.args.bytes);
  }

  /** Runs on the core's threads while this one goes on. */
  start(): BackgroundRun {
    return new BackgroundRun(this.program, this.args.bytes);
  }

  #run(run: RunFunction, handle: number, bytes: Uint8Array): void {
    const status = run(handle, bytes, bytes.byteLength, this.#status);
    if (status === Status.out_of_memory) {
      allocating(bytes.byteLength, () => {
        check(run(handle, bytes, bytes.byteLength, this.#status), "running");
      });
    } else {
      check(status, "running");
    }
    // Looked at first: decoding it takes longer than a small run.
    if (this.#words[stateAt] !== RunState.done) throwUnlessDone(this.#status);
  }
}

type RunFunction = ReturnType<typeof core>["bn_run_now"];
