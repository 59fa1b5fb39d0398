/**
 * The memory of one session's keys and values: reserved for the whole context, real only as far as
 * it was written. Idle, it gives back the pages past its end, or moves what it holds into as little
 * memory as that needs; `open` undoes both as far as it must.
 */
import { pagePositions, Region } from "../native/index.ts";
import { type CacheShape, cachePages, cacheSize } from "../nn/index.ts";

export class SessionCache implements Disposable {
  readonly #shape: CacheShape;
  /** For all pages, or for the first `#packedPages`. */
  #region: Region;
  #packedPages: number | undefined;
  /** Pages that were written since they were last given back. */
  #touchedPages = 0;

  /** @throws BitNetError `native/out-of-memory` */
  constructor(shape: CacheShape) {
    this.#shape = shape;
    this.#region = reserve(shape);
  }

  /** Bytes of real memory, and those that are set aside. */
  get touchedBytes(): number {
    return this.#pageBytes * this.#touchedPages;
  }

  get reservedBytes(): number {
    return this.#region.size;
  }

  /** What `dropPast` and `pack` would win, with `length` positions in use. */
  wonByDropping(length: number): number {
    if (this.#packedPages !== undefined) return 0;
    return this.#pageBytes * Math.max(0, this.#touchedPages - pagesFor(length));
  }

  wonByPacking(length: number): number {
    if (this.#packedPages !== undefined) return 0;
    return this.reservedBytes - this.#pageBytes * pagesFor(length);
  }

  /**
   * The region for a run that reads positions before `start` and writes up to before `end`.
   * @throws BitNetError `native/out-of-memory` when it was packed and there is no room
   */
  open(start: number, end: number): Region {
    if (this.#packedPages !== undefined) this.#unpack(pagesFor(start));
    this.#touchedPages = Math.max(this.#touchedPages, pagesFor(end));
    return this.#region;
  }

  /**
   * Gives back the pages behind `length` positions and returns the bytes of those that were in
   * memory. @throws BitNetError `native/in-use` while a run is bound to the cache
   */
  dropPast(length: number): number {
    const used = pagesFor(length);
    if (this.#packedPages !== undefined || used >= this.#touchedPages) return 0;
    const pages = cachePages(this.#shape, used, this.#touchedPages);
    const won = pages.reduce(
      (sum, { offset, size }) => sum + this.#region.discard(offset, size),
      0,
    );
    this.#touchedPages = used;
    return won;
  }

  /** Moves the pages of `length` positions together and returns the bytes no longer reserved. */
  pack(length: number): number {
    const pages = pagesFor(length);
    if (this.#packedPages !== undefined || pages === 0) return 0;
    const whole = this.#region;
    this.#region = Region.create(this.#pageBytes * pages, { tag: "kv-cache" });
    this.#packedPages = pages;
    this.#touchedPages = pages;
    this.#copy({ from: whole, fromShape: this.#shape, to: this.#region, pages });
    whole[Symbol.dispose]();
    return whole.size - this.#region.size;
  }

  /** Ends it and returns the bytes that were in memory, which go to the system, not to the pool. */
  release(): number {
    const won = this.touchedBytes;
    this.dropPast(0);
    this[Symbol.dispose]();
    return won;
  }

  [Symbol.dispose](): void {
    this.#region[Symbol.dispose]();
  }

  /** Room for all pages again, with the first `wanted` of those that were packed. */
  #unpack(wanted: number): void {
    const packed = this.#region;
    const packedPages = this.#packedPages!;
    this.#region = reserve(this.#shape);
    this.#packedPages = undefined;
    this.#touchedPages = Math.min(wanted, packedPages);
    const fromShape = { ...this.#shape, pageCount: packedPages };
    const pages = this.#touchedPages;
    this.#copy({ from: packed, fromShape, to: this.#region, pages });
    packed[Symbol.dispose]();
  }

  #copy({ from, fromShape, to, pages }: PageCopy): void {
    const toPages = this.#packedPages ?? this.#shape.pageCount;
    const targets = cachePages({ ...this.#shape, pageCount: toPages }, 0, pages);
    for (const [part, { offset, size }] of cachePages(fromShape, 0, pages).entries()) {
      to.bytes(targets[part]!.offset, size).set(from.bytes(offset, size));
    }
  }

  get #pageBytes(): number {
    return cacheSize({ ...this.#shape, pageCount: 1 });
  }
}

interface PageCopy {
  from: Region;
  fromShape: CacheShape;
  to: Region;
  /** The first so many. */
  pages: number;
}

function reserve(shape: CacheShape): Region {
  return Region.create(cacheSize(shape), { sparse: true, tag: "kv-cache" });
}

function pagesFor(positions: number): number {
  return Math.ceil(positions / pagePositions);
}
