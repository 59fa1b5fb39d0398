/**
 * A file that is written from front to back and appears whole or not at all: bytes go to a
 * temporary name beside it, which is made durable and renamed at the end. Whatever ends the
 * writing early takes the temporary file away.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { refuse } from "./refuse.ts";

export class OutputFile implements AsyncDisposable {
  readonly path: string;
  readonly #temporaryPath: string;
  readonly #handle: FileHandle;
  #bytes = 0;
  #isFinished = false;

  private constructor(path: string, temporaryPath: string, handle: FileHandle) {
    this.path = path;
    this.#temporaryPath = temporaryPath;
    this.#handle = handle;
  }

  /** @throws BitNetError checkpoint/unwritable */
  static async create(path: string): Promise<OutputFile> {
    const temporaryPath = `${path}.${process.pid}-${randomUUID().slice(0, 8)}.partial`;
    try {
      return new OutputFile(path, temporaryPath, await open(temporaryPath, "wx"));
    } catch (cause) {
      unwritable(path, cause);
    }
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends all of `bytes`, which must not change meanwhile. @throws checkpoint/unwritable */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const rest = bytes.subarray(done);
        done += (await this.#handle.write(rest, 0, rest.length, this.#bytes + done)).bytesWritten;
      }
    } catch (cause) {
      unwritable(this.path, cause);
    }
    this.#bytes += bytes.length;
  }

  /** Writes over the first bytes, which are there already. @throws checkpoint/unwritable */
  async rewriteFront(bytes: Uint8Array): Promise<void> {
    const end = this.#bytes;
    this.#bytes = 0;
    await this.write(bytes);
    this.#bytes = end;
  }

  /** Appends zeros up to the next multiple of `alignment`. @throws checkpoint/unwritable */
  async pad(alignment: number): Promise<void> {
    const rest = this.#bytes % alignment;
    if (rest !== 0) await this.write(new Uint8Array(alignment - rest));
  }

  /** Makes the bytes durable and gives the file its name. @throws checkpoint/unwritable */
  async finish(): Promise<void> {
    try {
      await this.#handle.sync();
      await this.#handle.close();
      await rename(this.#temporaryPath, this.path);
      this.#isFinished = true;
      await syncFolder(dirname(this.path));
    } catch (cause) {
      unwritable(this.path, cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isFinished) return;
    await this.#handle.close().catch(() => {});
    await rm(this.#temporaryPath, { force: true });
  }
}

/** Writes a small file whole, as `OutputFile` does. @throws checkpoint/unwritable */
export async function writeFileWhole(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await OutputFile.create(path);
  await file.write(bytes);
  await file.finish();
}

/** The rename itself becomes durable; systems that cannot open folders do without. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(join(folder, "."), "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unwritable(file: string, cause: unknown): never {
  refuse("checkpoint/unwritable", {
    file,
    expected: "a place this process may write to",
    got: cause instanceof Error ? cause.message : String(cause),
    remedy: "check that the folder is there, its permissions and the room on the disk",
    cause,
  });
}
