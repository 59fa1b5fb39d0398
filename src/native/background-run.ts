/**
 * A run that goes on while JavaScript does: its end can be awaited, and also waited for. Its
 * arguments are copied when it starts.
 */
import { RunState, RunStatusLayout } from "./abi.gen.ts";
import { check, core } from "./core.ts";
import { allocating } from "./out-of-memory.ts";
import { forgetterAddress, ownerOf } from "./owner.ts";
import type { NativeProgram } from "./program.ts";
import type { Reading } from "./run-args.ts";
import { throwUnlessDone } from "./run-end.ts";
import { decodeStruct } from "./structs.ts";
import { watch } from "./wake.ts";

export class BackgroundRun {
  /** Resolves on the event loop once the run has ended, however it did. */
  readonly ended: Promise<void>;
  readonly #ticket: number;
  readonly #status = new Uint8Array(RunStatusLayout.size);
  readonly #onStep: ((stepsDone: number) => void) | undefined;
  #stepsDone = 0;
  #isOver = false;
  #thrown: { error: unknown } | undefined;

  /**
   * Starts it. `onStep` hears on the event loop how many steps are done; what it throws cancels the
   * run and becomes its end.
   * @throws BitNetError `native/out-of-memory`, `native/invalid-argument`
   */
  constructor(program: NativeProgram, args: Uint8Array, onStep?: (stepsDone: number) => void) {
    const ticket = new Uint32Array(1);
    allocating(args.byteLength, () => {
      check(core().bn_run_submit(program.handle, args, args.byteLength, ticket), "submitting");
    });
    this.#ticket = ticket[0]!;
    this.#onStep = onStep;
    // A Worker that is terminated leaves no run behind: its end cancels it.
    const address = forgetterAddress("bn_run_forgetter");
    const owner = ownerOf("bn_run_forgetter", { handle: this.#ticket, address, size: 1 });
    this.ended = new Promise((resolve) => {
      watch({
        poll: () => this.#poll(),
        finish() {
          owner.transfer(0);
          resolve();
        },
      });
    });
  }

  /** As far as JavaScript has heard. */
  get stepsDone(): number {
    return this.#stepsDone;
  }

  /** Ends it before its next step; harmless when it has ended. */
  cancel(): void {
    if (!this.#isOver) check(core().bn_run_cancel(this.#ticket), "cancelling a run");
  }

  /** Blocks this thread until the run has ended. */
  wait(): void {
    if (this.#isOver) return;
    check(core().bn_run_wait(this.#ticket, 0xffff_ffff), "waiting for a run");
    this.#poll();
  }

  /** Of a run that has ended. @throws BitNetError for what it ended with, unless all is done */
  throwUnlessDone(reading?: Reading): void {
    if (this.#thrown) throw this.#thrown.error;
    throwUnlessDone(this.#status, reading);
  }

  #poll(): boolean {
    if (this.#isOver) return true;
    check(core().bn_run_poll(this.#ticket, this.#status), "polling a run");
    const { state, steps_done } = decodeStruct(RunStatusLayout, this.#status);
    this.#isOver = state > RunState.running;
    if (steps_done > this.#stepsDone) {
      this.#stepsDone = steps_done;
      this.#tell();
    }
    return this.#isOver;
  }

  #tell(): void {
    if (this.#thrown) return;
    try {
      this.#onStep?.(this.#stepsDone);
    } catch (error) {
      this.#thrown = { error };
      this.cancel();
    }
  }
}
