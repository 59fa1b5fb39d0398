/**
 * A run that goes on while JavaScript does: its end can be awaited, and also waited for. Its
 * arguments are copied when it starts.
 */
import { RunState, RunStatusLayout } from "./abi.gen.ts";
import { check, core } from "./core.ts";
import { allocating } from "./out-of-memory.ts";
import { forgetterAddress, ownerOf } from "./owner.ts";
import { type NativeProgram, throwUnlessDone } from "./run.ts";
import { decodeStruct } from "./structs.ts";
import { watch } from "./wake.ts";

export class BackgroundRun {
  /** Resolves on the event loop once the run has ended, however it did. */
  readonly ended: Promise<void>;
  readonly #ticket: number;
  readonly #status = new Uint8Array(RunStatusLayout.size);
  #isOver = false;

  /** @throws BitNetError `native/out-of-memory`, `native/invalid-argument` */
  constructor(program: NativeProgram, args: Uint8Array) {
    const ticket = new Uint32Array(1);
    allocating(args.byteLength, () => {
      check(core().bn_run_submit(program.handle, args, args.byteLength, ticket), "submitting");
    });
    this.#ticket = ticket[0]!;
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

  /** Blocks this thread until the run has ended. */
  wait(): void {
    if (this.#isOver) return;
    check(core().bn_run_wait(this.#ticket, 0xffff_ffff), "waiting for a run");
    this.#poll();
  }

  /** Of a run that has ended. @throws BitNetError for what it ended with, unless all is done */
  throwUnlessDone(): void {
    throwUnlessDone(decodeStruct(RunStatusLayout, this.#status));
  }

  #poll(): boolean {
    if (this.#isOver) return true;
    check(core().bn_run_poll(this.#ticket, this.#status), "polling a run");
    this.#isOver = decodeStruct(RunStatusLayout, this.#status).state > RunState.running;
    return this.#isOver;
  }
}
