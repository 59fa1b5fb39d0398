/**
 * Buffers of the core. A region is released explicitly; one that is forgotten is released when
 * its handle object is collected. A run holds the regions it is bound to, whoever releases them.
 */
import { BitNetError } from "../errors/index.ts";
import { MapAdvice, MapMode, RegionFlag, regionAlignment } from "./abi.gen.ts";
import { check, core, read, toArrayBuffer } from "./core.ts";
import { type RegionTag, tagNumber } from "./memory.ts";
import { allocating } from "./out-of-memory.ts";
import { ownerOf } from "./owner.ts";

/** Bytes of a file. */
export interface FileRange {
  path: string;
  offset: number;
  size: number;
}

/** What may be done with the bytes of a mapped file: changes to a copy stay in memory. */
export type MapModeName = keyof typeof MapMode;

/** How a mapped file will be used: `will_need` begins to read it, `cold` lets it leave memory. */
export type MapAdviceName = keyof typeof MapAdvice;

/** The next size at or after `size` behind which an aligned value can lie. */
export function alignedSize(size: number): number {
  return Math.ceil(size / regionAlignment) * regionAlignment;
}

/** What a value of a size takes of memory that is shared: empty ones have a place, too. */
export function placeSize(size: number): number {
  return Math.max(regionAlignment, alignedSize(size));
}

export interface RegionOptions {
  /** Fills bit by bit, and takes only what is touched. */
  sparse?: boolean;
  /**
   * For memory that is written whole before anyone reads it: what it holds until then is not
   * defined, and it costs no zeros.
   */
  uninitialised?: boolean;
  /** What it is for, as `memoryMetrics` tells it. */
  tag?: RegionTag;
}

export class Region implements Disposable {
  readonly size: number;
  #handle: number;
  #address: number;
  /** Buffers over the region, by range. */
  readonly #views = new Map<string | number, ArrayBuffer>();
  /** Called before the region is released. */
  #beforeRelease: (() => void) | undefined;
  /** Its end releases the region natively, collected or transferred away. */
  #owner: ArrayBuffer | undefined;
  /** Bytes of which the collector has not been told. */
  #untold: number;

  private constructor(handle: number, size: number, weight: number) {
    this.#handle = handle;
    this.size = size;
    const address = new Float64Array(1);
    check(core().bn_region_address(handle, address), "finding a region");
    this.#address = address[0]!;
    this.#untold = weight < smallSize ? 0 : weight;
    untold += this.#untold;
    const isTime = untold >= toldMin;
    const told = this.#untold === 0 ? weight : isTime ? Math.min(untold, ownerSizeMax) : 1;
    this.#owner = ownerOf("bn_region_forgetter", { handle, address: this.#address, size: told });
    if (!isTime) return;
    this.#untold = 0;
    untold = 0;
  }

  /**
   * A region of `size` bytes, zeroed unless the options say otherwise.
   * @throws BitNetError `native/out-of-memory`, saying who holds what, when the system or the limit
   * (`limitMemory`) refuses and nothing could be reclaimed either
   */
  static create(size: number, options: RegionOptions = {}): Region {
    const { sparse = false, uninitialised = false, tag = "other" } = options;
    const flags = (sparse ? RegionFlag.sparse : 0) | (uninitialised ? RegionFlag.uninitialised : 0);
    const handle = new Uint32Array(1);
    allocating(size, () => {
      const status = core().bn_region_create(size, tagNumber(tag), flags, handle);
      check(status, `allocating ${size} bytes (${tag})`);
    });
    return new Region(handle[0]!, size, Math.min(size, ownerSizeMax));
  }

  /**
   * A part of a file, in place and read-only unless the mode says otherwise. Its offset is a
   * multiple of `mapAlignment`.
   * @throws BitNetError `native/io`, when the file is too short for it too
   */
  static map({ path, offset, size }: FileRange, mode: MapModeName = "read_only"): Region {
    const handle = new Uint32Array(1);
    const name = new TextEncoder().encode(path);
    const bytes = name.byteLength;
    const status = core().bn_region_map(name, bytes, offset, size, MapMode[mode], handle);
    check(status, `mapping ${path}`);
    return new Region(handle[0]!, size, 1);
  }

  /**
   * A region that is there already, over a block of a pool. `beforeRelease` is called when it is
   * disposed of, and may throw to keep it.
   */
  static adopt(handle: number, size: number, beforeRelease: () => void): Region {
    const region = new Region(handle, size, Math.min(size, ownerSizeMax));
    region.#beforeRelease = beforeRelease;
    return region;
  }

  /** The region under a typed array, and where in it the array begins; of `bytes` alone. */
  static under(array: ArrayBufferView): { region: Region; offset: number } | undefined {
    const place = placeOf.get(array.buffer);
    return place && { region: place.region, offset: place.offset + array.byteOffset };
  }

  get handle(): number {
    if (this.#handle === 0) throw disposed();
    return this.#handle;
  }

  get disposed(): boolean {
    return this.#owner === undefined;
  }

  /** Copies bytes of a file into the region, checked: a short file is an error. */
  readFile(source: FileRange, offset = 0): void {
    const name = new TextEncoder().encode(source.path);
    check(
      core().bn_region_read(this.handle, offset, name, name.byteLength, source.offset, source.size),
      `reading ${source.size} bytes at ${source.offset} of ${source.path}`,
    );
  }

  /** Bytes of the region, not copied. They become empty when the region is released. */
  bytes(offset = 0, size = this.size - offset): Uint8Array {
    if (this.#handle === 0) throw disposed();
    if (offset < 0 || size < 0 || offset + size > this.size) {
      throw new RangeError(`bytes ${offset} to ${offset + size} of a region of ${this.size}`);
    }
    if (size === 0) return new Uint8Array(0);
    const range = offset === 0 ? size : `${offset}+${size}`;
    let buffer = this.#views.get(range);
    if (!buffer || buffer.detached) {
      buffer = toArrayBuffer(this.#address as never, offset, size);
      this.#views.set(range, buffer);
      placeOf.set(buffer, { region: this, offset });
    }
    return new Uint8Array(buffer);
  }

  /** The number at a byte of the region, without a buffer over it. */
  number(dtype: "f32" | "f64" | "i32", offset: number): number {
    if (this.#handle === 0) throw disposed();
    if (offset < 0 || offset + (dtype === "f64" ? 8 : 4) > this.size) {
      throw new RangeError(`${dtype} at ${offset} of a region of ${this.size} bytes`);
    }
    return read[dtype](this.#address as never, offset);
  }

  /** Tells the system how a part of a mapped file will be used; other regions take no advice. */
  advise(advice: MapAdviceName, offset = 0, size = this.size - offset): void {
    const status = core().bn_region_advise(this.handle, MapAdvice[advice], offset, size);
    check(status, "advising a region");
  }

  /**
   * Looks whether the file under a mapped region is still long enough, as each run does before it
   * begins. @throws BitNetError `native/io`
   */
  checkFile(): void {
    check(core().bn_region_check_file(this.handle), "looking at a mapped file");
  }

  /**
   * Gives the whole pages of a part back to the system and returns their bytes. What the part holds
   * then is not defined. @throws BitNetError `native/in-use` while a run is bound to the region
   */
  discard(offset = 0, size = this.size - offset): number {
    const won = new Float64Array(1);
    check(core().bn_region_discard(this.handle, offset, size, won), "giving memory back");
    return won[0]!;
  }

  [Symbol.dispose](): void {
    if (this.#owner === undefined) return;
    this.#beforeRelease?.();
    for (const view of this.#views.values()) if (!view.detached) view.transfer(0);
    this.#views.clear();
    this.#handle = 0;
    // Not by its handle: no deallocator must be left that could run once the handle is reused.
    this.#owner.transfer(0);
    this.#owner = undefined;
    untold = Math.max(0, untold - this.#untold);
  }
}

/** Where in a region a buffer over it begins; the region is kept while the buffer is in use. */
const placeOf = new WeakMap<ArrayBufferLike, { region: Region; offset: number }>();

/**
 * The collector is told of memory by the size of owners, and looks for garbage the oftener the more
 * it hears of: so of large regions it hears only what was not released again by then, in portions.
 */
const smallSize = 64 << 10;
const toldMin = 32 << 20;
let untold = 0;

/** What the collector takes as urgent, at most: JavaScript's buffers end somewhere beyond. */
const ownerSizeMax = 2 ** 30;

function disposed(): BitNetError {
  return new BitNetError("native/disposed", "the buffer was used after its release");
}
