/**
 * Programs of the core: a blob that it has validated, and the time that its instructions take where
 * that is asked for.
 */
import { BitNetError } from "../errors/index.ts";
import { ProfileEventLayout } from "./abi.gen.ts";
import { check, core } from "./core.ts";
import { allocating } from "./out-of-memory.ts";
import { forgetterAddress, ownerOf } from "./owner.ts";

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
