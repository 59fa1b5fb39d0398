/**
 * Tells the system which part of a file will be read next, so that the disk works while matrices
 * are packed. Files are mapped for it and never looked at. Advice, no more: what it fails at is
 * read when it is asked for.
 */
import { Region } from "../native/index.ts";

/** Bytes behind the last read that are asked for: some matrices. */
const aheadBytes = 64 << 20;
/** Advice is given from a multiple of this on, which every system's pages divide. */
const pageBytes = 1 << 16;

export class ReadAhead implements Disposable {
  /** By path; null where mapping failed. */
  readonly #files = new Map<string, { map: Region | null; askedTo: number }>();

  /** What comes from `offset` on is read soon. */
  ask(path: string, offset: number): void {
    const file = this.#file(path);
    if (!file.map) return;
    const start = Math.max(file.askedTo, Math.floor(offset / pageBytes) * pageBytes);
    const end = Math.min(file.map.size, offset + aheadBytes);
    // A few large wishes rather than many small ones.
    if (end - start < aheadBytes / 4 && end < file.map.size) return;
    if (end <= start) return;
    file.map.advise("will_need", start, end - start);
    file.askedTo = end;
  }

  [Symbol.dispose](): void {
    for (const { map } of this.#files.values()) map?.[Symbol.dispose]();
    this.#files.clear();
  }

  #file(path: string) {
    let file = this.#files.get(path);
    if (!file) {
      file = { map: mapWhole(path), askedTo: 0 };
      this.#files.set(path, file);
    }
    return file;
  }
}

function mapWhole(path: string): Region | null {
  try {
    return Region.map({ path, offset: 0, size: Bun.file(path).size });
  } catch {
    return null;
  }
}
