/**
 * Reads a GGUF file from front to back through one window of bytes, so that a header of any
 * length costs the window and the values kept, nothing else. Little endian.
 *
 * A count or length is checked against the bytes that are left before anything is allocated.
 */
import { readSync } from "node:fs";
import { decodeUtf8, type InputFile } from "./files.ts";
import { refuse } from "./refuse.ts";

const windowBytes = 1 << 20;
/** Longest text: a chat template or a merged vocabulary entry stays far below. */
const textBytesMax = 16 << 20;

export class GgufCursor {
  readonly file: InputFile;
  #window = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  /** Offset in the file of the window's first byte. */
  #base = 0;
  /** Offset in the window of the next byte. */
  #at = 0;

  constructor(file: InputFile) {
    this.file = file;
  }

  /** Offset in the file of the next byte. */
  get position(): number {
    return this.#base + this.#at;
  }

  get bytesLeft(): number {
    return this.file.bytes - this.position;
  }

  u8(): number {
    const at = this.#take(1);
    return this.#view.getUint8(at);
  }

  i8(): number {
    const at = this.#take(1);
    return this.#view.getInt8(at);
  }

  u16(): number {
    const at = this.#take(2);
    return this.#view.getUint16(at, true);
  }

  i16(): number {
    const at = this.#take(2);
    return this.#view.getInt16(at, true);
  }

  u32(): number {
    const at = this.#take(4);
    return this.#view.getUint32(at, true);
  }

  i32(): number {
    const at = this.#take(4);
    return this.#view.getInt32(at, true);
  }

  f32(): number {
    const at = this.#take(4);
    return this.#view.getFloat32(at, true);
  }

  f64(): number {
    const at = this.#take(8);
    return this.#view.getFloat64(at, true);
  }

  u64(): bigint {
    const at = this.#take(8);
    return this.#view.getBigUint64(at, true);
  }

  i64(): bigint {
    const at = this.#take(8);
    return this.#view.getBigInt64(at, true);
  }

  /** A text with its length before it. @throws BitNetError checkpoint/string-too-long */
  text(what: string): string {
    const length = this.u64();
    if (length > textBytesMax) {
      refuse("checkpoint/string-too-long", {
        file: this.file.path,
        expected: `at most ${textBytesMax} bytes of text in ${what}`,
        got: `${length}`,
      });
    }
    const start = this.#take(Number(length));
    return decodeUtf8(this.file.path, what, this.#window.subarray(start, start + Number(length)));
  }

  /** `count` raw bytes in a buffer of their own. */
  bytes(count: number): Uint8Array<ArrayBuffer> {
    this.require(count, "an array");
    const into = new Uint8Array(count);
    for (let done = 0; done < count; ) {
      const part = Math.min(count - done, windowBytes);
      const start = this.#take(part);
      into.set(this.#window.subarray(start, start + part), done);
      done += part;
    }
    return into;
  }

  /** @throws BitNetError checkpoint/truncated when fewer than `count` bytes are left */
  require(count: number, what: string): void {
    if (count <= this.bytesLeft) return;
    refuse("checkpoint/truncated", {
      file: this.file.path,
      expected: `${count} bytes of ${what} at byte ${this.position}`,
      got: `${this.bytesLeft} bytes to the end of the file`,
      remedy: "fetch the file again",
    });
  }

  /** The window offset of the next `count` bytes, which are passed over. */
  #take(count: number): number {
    if (this.#at + count > this.#window.length) this.#refill(count);
    const start = this.#at;
    this.#at += count;
    return start;
  }

  #refill(count: number): void {
    this.require(count, "the header");
    const base = this.position;
    const size = Math.min(Math.max(count, windowBytes), this.bytesLeft);
    const window = new Uint8Array(size);
    let done = 0;
    while (done < size) {
      const got = readSync(this.file.handle.fd, window, done, size - done, base + done);
      if (got === 0) break;
      done += got;
    }
    this.#window = window.subarray(0, done);
    this.#view = new DataView(window.buffer, 0, done);
    this.#base = base;
    this.#at = 0;
    if (done < count) {
      refuse("checkpoint/truncated", {
        file: this.file.path,
        expected: `${count} bytes at byte ${base}`,
        got: `${done} bytes`,
      });
    }
  }
}
