/**
 * Memory pools of the core, in numbers: addresses, sizes, tags. Whoever holds a `NativePool` holds
 * the pool; it ends, with every block in it, when the last hold is released or collected. What
 * people use is `HybridMemoryPool` of src/memory, which knows what is still in use.
 */
import { BitNetError } from "../errors/index.ts";
import {
  PoolFlag,
  PoolLevel,
  type PoolLevelName,
  PoolManner,
  PoolMetricsLayout,
  PoolNameKind,
  type PoolNameKindName,
  PoolOptionsLayout,
  PoolTable,
  type PoolTableName,
  Status,
} from "./abi.gen.ts";
import { check, core, toArrayBuffer } from "./core.ts";
import { allocating } from "./out-of-memory.ts";
import { forgetterAddress, ownerOf } from "./owner.ts";
import { decodeStruct, encodeStruct, type StructLayout, type StructValues } from "./structs.ts";

/** Checked by the caller: `sizeMax` is a whole number of bytes, 0 for no limit. */
export interface NativePoolOptions {
  sizeMax: number;
  /** Freed memory that is kept, at most; null follows recent use. */
  idleBytesMax?: number | null;
  level: PoolLevelName;
  debug: boolean;
  hugePages: boolean;
}

/** How a block is to be: an alignment, the number of a tag, and whether it reads zero at first. */
export interface BlockManner {
  align: number;
  tag: number;
  zeroed: boolean;
  sparse: boolean;
}

/** The u32 that stands for it. `align` is a power of two; `tag` is one of the pool's. */
export function packManner({ align, tag, zeroed, sparse }: BlockManner): number {
  return (
    tag |
    ((31 - Math.clz32(align)) << PoolManner.alignment_log2_shift) |
    (zeroed ? PoolManner.zeroed : 0) |
    (sparse ? PoolManner.sparse : 0)
  );
}

export class NativePool {
  readonly handle: number;
  readonly #core = core();
  /** Its end releases the pool natively. */
  #owner: ArrayBuffer | undefined;

  private constructor(handle: number) {
    this.handle = handle;
    const address = forgetterAddress("bn_pool_forgetter");
    this.#owner =
      handle === engineHandle
        ? new ArrayBuffer(0) // nobody holds it
        : ownerOf("bn_pool_forgetter", { handle, address, size: ownerSize });
  }

  /** A new pool. @throws BitNetError `native/out-of-memory` */
  static create(wanted: NativePoolOptions): NativePool {
    const { sizeMax, idleBytesMax = null, level, debug, hugePages } = wanted;
    const options = new Uint8Array(PoolOptionsLayout.size);
    const flags =
      (debug ? PoolFlag.debug : 0) |
      (hugePages ? 0 : PoolFlag.small_pages) |
      (idleBytesMax === null ? 0 : PoolFlag.idle_limited);
    const values = {
      size_max: sizeMax,
      idle_size_max: idleBytesMax ?? 0,
      level: PoolLevel[level],
      flags,
    };
    encodeStruct(PoolOptionsLayout, values, { view: new DataView(options.buffer), offset: 0 });
    const handle = new Uint32Array(1);
    check(core().bn_pool_create(options, handle), "making a memory pool");
    return new NativePool(handle[0]!);
  }

  /** The engine's own, which never ends: what it holds, and its timeline where that is kept. */
  static engine(): NativePool {
    return new NativePool(engineHandle);
  }

  /** One more hold on a pool of this thread or another. @throws BitNetError `memory/disposed` */
  static hold(handle: number): NativePool {
    const pool = NativePool.tryHold(handle);
    if (pool !== undefined) return pool;
    throw new BitNetError("memory/disposed", "the pool was closed before it was opened here");
  }

  /** As `hold`; undefined when the pool is gone. */
  static tryHold(handle: number): NativePool | undefined {
    const isEngine = handle === engineHandle;
    const isHeld = isEngine || core().bn_pool_hold(handle) === Status.ok;
    return isHeld ? new NativePool(handle) : undefined;
  }

  /** What it was made with, and its limit of now. */
  options(): NativePoolOptions {
    const bytes = new Uint8Array(PoolOptionsLayout.size);
    check(core().bn_pool_options(this.handle, bytes), "reading a pool's options");
    const { size_max, idle_size_max, level, flags } = decodeStruct(PoolOptionsLayout, bytes);
    const names = Object.keys(PoolLevel) as PoolLevelName[];
    return {
      sizeMax: size_max,
      idleBytesMax: (flags & PoolFlag.idle_limited) === 0 ? null : idle_size_max,
      level: names[level]!,
      debug: (flags & PoolFlag.debug) !== 0,
      hugePages: (flags & PoolFlag.small_pages) === 0,
    };
  }

  get released(): boolean {
    return this.#owner === undefined;
  }

  /**
   * The address of a new block. Size and manner are checked by the caller.
   * @throws BitNetError `memory/limit-reached`, `native/out-of-memory`: who holds what
   */
  allocate(size: number, manner: number, label: number): number {
    const address = this.#core.bn_pool_allocate(this.handle, size, manner, label);
    return address > 0 ? address : this.#allocateAfter(-address, { size, manner, label });
  }

  /** Once room was made, where the system had none. */
  #allocateAfter(
    failed: number,
    { size, manner, label }: Record<"size" | "manner" | "label", number>,
  ) {
    let address = -failed;
    let isFirst = true;
    allocating(size, () => {
      if (!isFirst) address = this.#core.bn_pool_allocate(this.handle, size, manner, label);
      isFirst = false;
      if (address <= 0) this.#refuse(-address, `allocating ${size} bytes`);
    });
    return address;
  }

  /**
   * Frees a block by what it was allocated with.
   * @throws BitNetError `memory/double-free`, `memory/foreign-block`, `memory/guard-damaged`, where
   *   the pool's level lets it know, with the block's history
   */
  free(address: number, size: number, tag: number): void {
    const status = this.#core.bn_pool_free(this.handle, address, size, tag);
    if (status === Status.ok) return;
    const reason = freeFaults[status];
    this.#refuse(status, `freeing ${size} bytes${reason === undefined ? "" : `: ${reason}`}`);
  }

  #refuse(status: number, doing: string): void {
    if (this.released) {
      throw new BitNetError("memory/disposed", `${doing}: the pool was closed before`);
    }
    check(status, doing);
  }

  /**
   * Makes a region of a block, whose memory is the region's from then on: a run that is bound to it
   * holds it, and it is freed with the last that holds it.
   * @throws BitNetError `native/invalid-argument` unless it begins at a multiple of 64
   */
  region(address: number, { size, tag }: { size: number; tag: number }): number {
    const handle = new Uint32Array(1);
    const status = core().bn_pool_region(this.handle, address, size, tag, handle);
    check(status, `a region over a block of ${size} bytes`);
    return handle[0]!;
  }

  /** The number that stands for a tag or a label in this pool. */
  number(kind: PoolNameKindName, name: string): number {
    const bytes = new TextEncoder().encode(name);
    const number = new Uint32Array(1);
    check(
      core().bn_pool_number(this.handle, PoolNameKind[kind], bytes, bytes.byteLength, number),
      `naming a ${kind} ${JSON.stringify(name)}`,
    );
    return number[0]!;
  }

  /** The name behind a number; empty where there is none. */
  name(kind: PoolNameKindName, number: number): string {
    const buffer = new Uint8Array(256);
    const { handle } = this;
    const size = core().bn_pool_name(handle, PoolNameKind[kind], number, buffer, buffer.byteLength);
    return new TextDecoder().decode(buffer.subarray(0, size));
  }

  metrics(): StructValues<typeof PoolMetricsLayout> {
    const bytes = new Uint8Array(PoolMetricsLayout.size);
    check(core().bn_pool_metrics(this.handle, bytes), "reading a pool's metrics");
    return decodeStruct(PoolMetricsLayout, bytes);
  }

  /** Every entry of a table, as far as the pool's level keeps it. */
  read<L extends StructLayout>(table: PoolTableName, layout: L): StructValues<L>[] {
    let capacity = this.#readInto(table, new Uint8Array(0));
    for (;;) {
      const entries = new Uint8Array(capacity * layout.size);
      const count = this.#readInto(table, entries);
      if (count <= capacity) {
        return Array.from({ length: count }, (_, index) =>
          decodeStruct(layout, entries.subarray(index * layout.size)),
        );
      }
      // Others allocated meanwhile: once more with room to spare.
      capacity = 2 * count;
    }
  }

  #readInto(table: PoolTableName, entries: Uint8Array): number {
    const count = new Uint32Array(1);
    const room = entries.byteLength === 0 ? new Uint8Array(8) : entries;
    check(
      core().bn_pool_read(this.handle, PoolTable[table], room, entries.byteLength, count),
      `reading a pool's ${table}`,
    );
    return count[0]!;
  }

  /** What is known of the block at an address, in words. */
  explain(address: number): string {
    const buffer = new Uint8Array(1024);
    const size = core().bn_pool_explain(this.handle, address, buffer, buffer.byteLength);
    return new TextDecoder().decode(buffer.subarray(0, size));
  }

  /** Blocks whose guards are damaged; 0 but in debug mode. */
  validate(): number {
    const damaged = new Float64Array(1);
    check(core().bn_pool_validate(this.handle, damaged), "validating a pool");
    return damaged[0]!;
  }

  /** Gives back to the system what is free. */
  trim(): void {
    check(core().bn_pool_trim(this.handle), "trimming a pool");
  }

  /** Ends this hold. With the last one the pool ends, and every block in it. */
  release(): void {
    if (this.handle === engineHandle) return;
    this.#owner?.transfer(0);
    this.#owner = undefined;
  }
}

/**
 * Bytes at an address, not copied: good as long as the memory is.
 * @throws BitNetError `memory/invalid-range` for more than one buffer holds
 */
export function bufferAt(address: number, size: number): ArrayBuffer {
  if (size <= bufferSizeMax) return toArrayBuffer(address as never, 0, size);
  throw new BitNetError(
    "memory/invalid-range",
    `want at most ${bufferSizeMax} bytes in one view, got ${size}: give an offset and a length`,
  );
}

/** Of the engine's own pool, which is always there: releasing it does nothing. */
export const engineHandle = 0;

/** What the history of a block comes behind. */
const freeFaults: Readonly<Record<number, string>> = {
  [Status.double_free]: "they were freed before",
  [Status.foreign_block]: "no live block of this pool begins there with that size",
  [Status.guard_damaged]: "someone wrote before their start or past their end",
};

/** What JavaScriptCore holds in one ArrayBuffer. */
const bufferSizeMax = 2 ** 32;

/** What a pool weighs to the collector: about what its own tables take. */
const ownerSize = 2 << 20;
