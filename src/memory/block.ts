/**
 * A block of native memory. Its views are typed arrays over the memory itself; when the block is
 * freed they become empty, so that nobody reads or writes what is another's by then.
 */
import { BitNetError } from "../errors/index.ts";
import { bufferAt, type NativePool, Region, regionAlignment } from "../native/index.ts";

/** What a block needs to know of its pool. */
export interface BlockHome {
  readonly native: NativePool;
  /** In messages. */
  readonly name: string;
  /** Whether what happened to a block is kept after it was freed. */
  readonly keepsHistory: boolean;
  /** Blocks with views or a region: the pool takes those away when it is closed. */
  readonly shown: Set<MemoryBlock>;
}

/** A scope that frees the block when it ends. */
export interface BlockScope {
  forget(block: MemoryBlock): void;
}

/** A class of typed arrays. */
export interface ViewClass<T> {
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T;
  readonly BYTES_PER_ELEMENT: number;
  readonly name: string;
}

/** Blocks up to this size have one buffer for all views, as large as a buffer can be. */
const sharedBufferMax = 2 ** 32;

/** Made by `pool.allocate` alone. Freed when it is disposed, or with its scope or its pool. */
export class MemoryBlock implements Disposable {
  /** In bytes. */
  readonly size: number;
  /** @internal */
  scope: BlockScope | undefined = undefined;
  readonly #home: BlockHome;
  readonly #tag: number;
  /** Below zero once it is freed. */
  #address: number;
  #buffers: ArrayBuffer[] | undefined = undefined;
  /** Owns the memory where there is one. */
  #region: Region | undefined = undefined;

  /** @internal */
  constructor(home: BlockHome, address: number, { size, tag }: { size: number; tag: number }) {
    this.size = size;
    this.#home = home;
    this.#address = address;
    this.#tag = tag;
  }

  get disposed(): boolean {
    return this.#address < 0 || this.#home.native.released;
  }

  /** The name of its pool. */
  get pool(): string {
    return this.#home.name;
  }

  /** Where it lies, for functions of `bun:ffi`. @throws BitNetError `memory/disposed` */
  get address(): number {
    if (this.disposed) throw this.#used();
    return this.#address;
  }

  /**
   * A typed array over the block, not copied: `length` elements from byte `offset` on, by default
   * as many as there are whole ones. Empty once the block is freed.
   * @throws BitNetError `memory/disposed`, `memory/invalid-range`
   */
  view<T>(type: ViewClass<T>, offset = 0, length = wholeElements(this.size - offset, type)): T {
    const { address, size } = this;
    const width = type.BYTES_PER_ELEMENT;
    const isWhole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
    if (!isWhole || offset < 0 || length < 0 || offset + length * width > size) {
      throw new BitNetError(
        "memory/invalid-range",
        `want elements of ${type.name} within ${size} bytes, got ${length} from byte ${offset}`,
      );
    }
    if ((address + offset) % width !== 0) {
      throw new BitNetError(
        "memory/invalid-range",
        `want an offset that is a multiple of ${width} for ${type.name}, got ${offset}`,
      );
    }
    if (size <= sharedBufferMax) {
      return new type(this.#buffers?.[0] ?? this.#buffer(address, size), offset, length);
    }
    const buffer =
      length === 0 ? new ArrayBuffer(0) : this.#buffer(address + offset, length * width);
    return new type(buffer, 0, length);
  }

  /** Bytes of the block, not copied: `length` from `offset` on, by default all that follow. */
  bytes(offset = 0, length = this.size - offset): Uint8Array<ArrayBuffer> {
    return this.view<Uint8Array<ArrayBuffer>>(Uint8Array, offset, length);
  }

  /**
   * The block as a region that Programs can be bound to. A run holds it: a block that is freed
   * meanwhile is no longer to be had, but its memory stays until the run has ended.
   * @throws BitNetError `memory/disposed`; `memory/invalid-option` unless it was allocated with
   *   `align: 64` or more
   */
  region(): Region {
    if (this.#region !== undefined && !this.disposed) return this.#region;
    const { address, size } = this;
    if (address % regionAlignment !== 0) {
      throw new BitNetError(
        "memory/invalid-option",
        `want a block aligned to ${regionAlignment} or more for a region: allocate it with ` +
          `align: ${regionAlignment}`,
      );
    }
    const handle = this.#home.native.region(address, { size, tag: this.#tag });
    this.#region = Region.adopt(handle, size, () => this.#ended());
    this.#home.shown.add(this);
    return this.#region;
  }

  /**
   * Frees the block. A second time is harmless.
   * @throws BitNetError `memory/guard-damaged` in debug mode, when someone wrote around it;
   *   `memory/transferred` when one of its buffers was transferred away: then it is not freed
   */
  [Symbol.dispose](): void {
    if (!this.disposed) this.#free();
  }

  /** @internal */
  isOf(home: BlockHome): boolean {
    return this.#home === home;
  }

  /** @internal As dispose, but a second time is an error. */
  free(): void {
    if (this.disposed) {
      throw this.#address < 0 ? this.#freedTwice() : this.#used();
    }
    this.#free();
  }

  /**
   * @internal Empties its views and gives up its region, as when the pool is closed.
   * @throws BitNetError `memory/transferred`
   */
  withdraw(): void {
    if (this.#region === undefined) this.#detach();
    else this.#region[Symbol.dispose]();
    this.#home.shown.delete(this);
  }

  #free(): void {
    // A region frees the memory once no run holds it.
    if (this.#region !== undefined) {
      this.#region[Symbol.dispose]();
      return;
    }
    const address = this.#address;
    this.#ended();
    this.#home.native.free(address, this.size, this.#tag);
  }

  #ended(): void {
    if (this.#buffers !== undefined || this.#region !== undefined) {
      this.#detach();
      this.#home.shown.delete(this);
    }
    this.#address = -this.#address;
    if (this.scope !== undefined) this.scope.forget(this);
  }

  #detach(): void {
    if (this.#buffers?.some((buffer) => buffer.detached)) {
      stranded.add(this);
      throw new BitNetError(
        "memory/transferred",
        `a buffer over the block of ${this.size} bytes was transferred away, so the block is not ` +
          "freed: copy what another thread is to have",
      );
    }
    for (const buffer of this.#buffers ?? []) buffer.transfer(0);
    this.#buffers = undefined;
  }

  #buffer(address: number, size: number): ArrayBuffer {
    const buffer = bufferAt(address, size);
    if (this.#buffers === undefined) this.#buffers = [];
    this.#buffers.push(buffer);
    this.#home.shown.add(this);
    blockOf.set(buffer, this);
    return buffer;
  }

  #used(): BitNetError {
    return new BitNetError(
      "memory/disposed",
      `a block of ${this.size} bytes was used after it was freed${this.#history()}`,
    );
  }

  #freedTwice(): BitNetError {
    return new BitNetError(
      "memory/double-free",
      `a block of ${this.size} bytes was freed twice${this.#history()}`,
    );
  }

  #history(): string {
    const { keepsHistory, native } = this.#home;
    if (!keepsHistory || native.released) return "";
    return `; ${native.explain(Math.abs(this.#address))}`;
  }
}

/** Blocks that another thread may still see: kept, and so are their pools. */
const stranded = new Set<MemoryBlock>();

/** Keeps a block, and so its region and its pool, while a buffer over it is in use. */
const blockOf = new WeakMap<ArrayBuffer, MemoryBlock>();

function wholeElements(size: number, { BYTES_PER_ELEMENT }: { BYTES_PER_ELEMENT: number }): number {
  return Math.max(0, Math.floor(size / BYTES_PER_ELEMENT));
}
