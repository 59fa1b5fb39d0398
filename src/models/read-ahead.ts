/**
 * Which part of a file the system should begin to read while what came before is packed, so that
 * the disk works all the time. Advice, no more: what it fails at is read when it is asked for.
 */
import { statSync } from "node:fs";
import type { FileRange } from "../native/index.ts";

/** Bytes behind the last read that are asked for: some matrices. */
const aheadBytes = 64 << 20;

interface AskedFile {
  size: number;
  askedTo: number;
}

export class ReadAhead {
  readonly #files = new Map<string, AskedFile>();

  /** What to ask for when this part is read; undefined where that is asked for already. */
  behind({ path, offset, size }: FileRange): { offset: number; size: number } | undefined {
    const file = this.#file(path);
    const start = Math.max(file.askedTo, offset + size);
    const end = Math.min(file.size, offset + size + aheadBytes);
    // A few large wishes rather than many small ones.
    if (end <= start || (end - start < aheadBytes / 4 && end < file.size)) return undefined;
    file.askedTo = end;
    return { offset: start, size: end - start };
  }

  #file(path: string): AskedFile {
    let file = this.#files.get(path);
    if (!file) {
      file = { size: statSync(path, { throwIfNoEntry: false })?.size ?? 0, askedTo: 0 };
      this.#files.set(path, file);
    }
    return file;
  }
}
