/**
 * Plain checked file access: what is there, and exact reads. Every failure of the file system
 * becomes a BitNetError that names the file; a read that comes up short is a truncated file.
 */
import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { refuse } from "./refuse.ts";

/** What `path` is; undefined when nothing is there. */
export async function kindOf(path: string): Promise<"file" | "folder" | "other" | undefined> {
  try {
    const info = await stat(path);
    if (info.isDirectory()) return "folder";
    return info.isFile() ? "file" : "other";
  } catch (cause) {
    const code = systemCode(cause);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    unreadable(path, cause);
  }
}

/** An open file with its size, closed by `await using`. */
export class InputFile implements AsyncDisposable {
  private constructor(
    readonly path: string,
    readonly bytes: number,
    readonly handle: FileHandle,
  ) {}

  /** @throws BitNetError checkpoint/not-found, is-directory, not-a-file or unreadable */
  static async open(path: string): Promise<InputFile> {
    const kind = await kindOf(path);
    if (kind === undefined) {
      refuse("checkpoint/not-found", { file: path, expected: "a file", got: "nothing there" });
    }
    if (kind === "folder") {
      refuse("checkpoint/is-directory", { file: path, expected: "a file", got: "a folder" });
    }
    if (kind === "other") {
      refuse("checkpoint/not-a-file", { file: path, expected: "a file", got: "a device or pipe" });
    }
    try {
      const handle = await open(path, constants.O_RDONLY);
      const { size } = await handle.stat();
      return new InputFile(path, size, handle);
    } catch (cause) {
      unreadable(path, cause);
    }
  }

  /** Bytes [start, end), all of them. @throws BitNetError checkpoint/truncated or unreadable */
  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    if (end > this.bytes) this.#truncated(end, this.bytes);
    const into = new Uint8Array(end - start);
    let done = 0;
    while (done < into.length) {
      const got = await this.#readOnce(into, done, start + done);
      if (got === 0) this.#truncated(end, start + done);
      done += got;
    }
    return into;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.handle.close();
  }

  async #readOnce(into: Uint8Array, at: number, position: number): Promise<number> {
    try {
      const { bytesRead } = await this.handle.read(into, at, into.length - at, position);
      return bytesRead;
    } catch (cause) {
      unreadable(this.path, cause);
    }
  }

  #truncated(want: number, have: number): never {
    refuse("checkpoint/truncated", {
      file: this.path,
      expected: `at least ${want} bytes`,
      got: `${have} bytes`,
      remedy: "fetch the file again",
    });
  }
}

/** @throws BitNetError checkpoint/broken-utf8 */
export function decodeUtf8(file: string, what: string, bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    refuse("checkpoint/broken-utf8", {
      file,
      expected: `UTF-8 in ${what}`,
      got: "bytes that are not",
      cause,
    });
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function unreadable(file: string, cause: unknown): never {
  refuse("checkpoint/unreadable", {
    file,
    expected: "a file this process may read",
    got: systemCode(cause) ?? String(cause),
    remedy: "check its permissions and the disk",
    cause,
  });
}

function systemCode(cause: unknown): string | undefined {
  if (typeof cause !== "object" || cause === null || !("code" in cause)) return undefined;
  return typeof cause.code === "string" ? cause.code : undefined;
}
