/**
 * A file, or a part of it, in memory: mapped, so that its pages are read when they are touched and
 * leave memory by themselves, read-only or as a copy whose changes stay in memory. Programs bind it
 * in place.
 *
 * The size is looked at when it is mapped, and again before each run that uses it, so a file that
 * has shrunk is an error then. One that shrinks while a run or JavaScript reads it ends the process
 * on Linux and macOS (Windows does not let it shrink); `copy` reads files that may change.
 */
import { statSync } from "node:fs";
import { BitNetError } from "../errors/index.ts";
import {
  type FileRange,
  type MapAdviceName,
  mapAlignment,
  Region,
  systemMemory,
} from "../native/index.ts";

export interface MappedFileOptions {
  /** `copy-on-write` lets its bytes be changed, in this process alone. */
  mode?: "read-only" | "copy-on-write";
  /** The part to map, which the file must hold; by default all of it. */
  offset?: number;
  size?: number;
}

export class MappedFile implements Disposable {
  readonly path: string;
  /** Bytes that were asked for. */
  readonly size: number;
  /** For Programs to bind; do not dispose of it. */
  readonly region: Region;
  /** Where in the region the bytes begin, because mappings begin at round offsets. */
  readonly regionOffset: number;

  private constructor(region: Region, { path, offset, size }: FileRange) {
    this.path = path;
    this.size = size;
    this.region = region;
    this.regionOffset = offset % mapAlignment;
  }

  /**
   * Maps a file or a part of it.
   * @throws BitNetError `memory/file-too-short`, also for one that is empty; `native/io`
   */
  static open(path: string, options: MappedFileOptions = {}): MappedFile {
    const { mode = "read-only", offset = 0 } = options;
    // What is not there the core refuses by its name.
    const fileSize = statSync(path, { throwIfNoEntry: false })?.size;
    const size = options.size ?? Math.max(1, (fileSize ?? 0) - offset);
    if (fileSize !== undefined && offset + size > fileSize)
      throw tooShort(path, fileSize, offset + size);
    const lead = offset % mapAlignment;
    const part = { path, offset: offset - lead, size: lead + size };
    const region = Region.map(part, mode === "read-only" ? "read_only" : "copy_on_write");
    return new MappedFile(region, { path, offset, size });
  }

  /** A part of a file in memory of its own, by checked reads: safe whatever becomes of the file. */
  static copy(source: FileRange): Region {
    const region = Region.create(source.size, { tag: "staging" });
    try {
      region.readFile(source);
      return region;
    } catch (error) {
      region[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Bytes of the file, not copied, after a look whether it is still whole. They become empty when
   * the mapping ends. @throws BitNetError `native/io`
   */
  bytes(offset = 0, size = this.size - offset): Uint8Array {
    this.check();
    return this.region.bytes(this.regionOffset + offset, size);
  }

  /** @throws BitNetError `native/io` when the file has become shorter than it was. */
  check(): void {
    this.region.checkFile();
  }

  /** Tells the system how a part will be used. */
  advise(advice: MapAdviceName, offset = 0, size = this.size - offset): void {
    this.region.advise(advice, this.regionOffset + offset, size);
  }

  /** Begins to read a part, without waiting for it. */
  prefetch(offset = 0, size = this.size - offset): void {
    this.advise("will_need", offset, size);
  }

  /** Lets all pages leave memory until they are read again. @returns bytes that this won */
  release(): number {
    const before = systemMemory().resident;
    this.advise("cold");
    return Math.max(0, before - systemMemory().resident);
  }

  [Symbol.dispose](): void {
    this.region[Symbol.dispose]();
  }
}

function tooShort(path: string, size: number, sizeMin: number): BitNetError {
  return new BitNetError(
    "memory/file-too-short",
    `${path}: want at least ${sizeMin} bytes, got ${size}: the file is incomplete, get it again`,
  );
}
