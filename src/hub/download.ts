/**
 * Brings one file of a repository to disk: resumed where an earlier pull broke off, tried again
 * where the connection breaks, its size and hash checked before it gets its name.
 */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout } from "node:timers/promises";
import { BitNetError } from "../errors/index.ts";
import { badResponse, type HubClient, type RepoRef, unreachable } from "./client.ts";
import { PartialFile } from "./partial-file.ts";
import type { RepoFile } from "./types.ts";

const retriesDefault = 5;
const retryMsMin = 250;
const retryMsMax = 8_000;
/** How long a connection may bring nothing. */
const stallMsMax = 60_000;

export interface Download {
  client: HubClient;
  repo: RepoRef;
  file: RepoFile;
  finalPath: string;
  signal?: AbortSignal | undefined;
  retries?: number | undefined;
  /** Bytes of this file that are on disk now. */
  onBytes: (bytesDone: number) => void;
}

/** @throws BitNetError hub/hash-mismatch, hub/size-mismatch, hub/unreachable, or the signal's */
export async function downloadFile(download: Download): Promise<void> {
  await mkdir(dirname(download.finalPath), { recursive: true });
  const partial = await PartialFile.claim(download.finalPath, download.file);
  const transfer = new Transfer(download, partial);
  try {
    await transfer.run();
  } catch (cause) {
    if (cause instanceof BitNetError && worthless.has(cause.code)) await partial.discard();
    else await partial.release();
    throw cause;
  }
  await partial.finish(download.finalPath);
}

const worthless: ReadonlySet<string> = new Set(["hub/hash-mismatch", "hub/size-mismatch"]);

class Transfer {
  readonly #download: Download;
  readonly #partial: PartialFile;
  #hasher = new Bun.CryptoHasher("sha256");
  #bytesDone = 0;

  constructor(download: Download, partial: PartialFile) {
    this.#download = download;
    this.#partial = partial;
  }

  async run(): Promise<void> {
    const { file } = this.#download;
    const isResumed = this.#partial.bytesAtStart > 0;
    if (this.#partial.bytesAtStart > file.bytes) await this.#restart();
    else await this.#hashPresent();
    await this.#fetchAll();
    if (this.#isSound()) return;
    // What an earlier pull left may be damaged; what comes in one piece may not.
    if (isResumed) {
      await this.#restart();
      await this.#fetchAll();
      if (this.#isSound()) return;
    }
    throw new BitNetError(
      "hub/hash-mismatch",
      `${this.#download.repo.name}/${file.path}: expected the SHA-256 ${file.sha256}, ` +
        "got another; the file was dropped, pull again",
    );
  }

  async #fetchAll(): Promise<void> {
    const { file, signal, retries = retriesDefault } = this.#download;
    let vainCount = 0;
    while (this.#bytesDone < file.bytes) {
      const before = this.#bytesDone;
      try {
        await this.#fetchOnce();
      } catch (cause) {
        signal?.throwIfAborted();
        vainCount = this.#bytesDone > before ? 0 : vainCount + 1;
        const isPassing = cause instanceof BitNetError && cause.code === "hub/unreachable";
        if (!isPassing || vainCount > retries) throw cause;
        await this.#pause(Math.min(retryMsMax, retryMsMin * 2 ** vainCount));
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#download;
    await setTimeout(ms, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }

  async #fetchOnce(): Promise<void> {
    const { client, repo, file } = this.#download;
    const response = await client.open(repo, file.path, this.#bytesDone);
    if (this.#bytesDone > 0 && !continues(response, this.#bytesDone)) {
      await this.#restart();
      if (response.status !== 200) {
        await response.body?.cancel();
        throw unreachable(client.endpoint, new Error(`it cannot resume ${file.path}`));
      }
    }
    if (response.body === null) throw badResponse(repo.name, `the content of ${file.path}`, null);
    await this.#readBody(response.body);
  }

  async #readBody(body: ReadableStream<Uint8Array>): Promise<void> {
    const { client, repo, file, onBytes } = this.#download;
    const reader = body.getReader();
    try {
      for (;;) {
        const chunk = await this.#readChunk(() => reader.read());
        if (chunk === undefined) break;
        if (this.#bytesDone + chunk.length > file.bytes) {
          const text = `${repo.name}/${file.path}: expected ${file.bytes} bytes, got more`;
          throw new BitNetError("hub/size-mismatch", `${text}; the file was dropped, pull again`);
        }
        await writeAll(this.#partial, chunk);
        this.#hasher.update(chunk);
        this.#bytesDone += chunk.length;
        onBytes(this.#bytesDone);
      }
    } finally {
      await reader.cancel().catch(() => {});
    }
    if (this.#bytesDone < file.bytes) {
      const text = `the connection ended after ${this.#bytesDone} of ${file.bytes} bytes`;
      throw unreachable(client.endpoint, new Error(text));
    }
  }

  /** The next bytes; undefined at the end. A broken or silent connection is unreachable. */
  async #readChunk(read: () => Promise<{ value?: Uint8Array }>): Promise<Uint8Array | undefined> {
    const { client, signal } = this.#download;
    const stalled = Promise.withResolvers<never>();
    const stop = (): void => stalled.reject(signal?.reason);
    const timer = globalThis.setTimeout(() => {
      stalled.reject(new Error(`nothing came for ${stallMsMax / 1000} seconds`));
    }, stallMsMax);
    signal?.addEventListener("abort", stop);
    try {
      signal?.throwIfAborted();
      const { value } = await Promise.race([read(), stalled.promise]);
      return value;
    } catch (cause) {
      signal?.throwIfAborted();
      throw unreachable(client.endpoint, cause);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  /** Hashes what an earlier pull has brought. */
  async #hashPresent(): Promise<void> {
    const { bytesAtStart, handle } = this.#partial;
    const buffer = new Uint8Array(Math.min(1 << 20, bytesAtStart));
    while (this.#bytesDone < bytesAtStart) {
      this.#download.signal?.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.#bytesDone);
      if (bytesRead === 0) break;
      this.#hasher.update(buffer.subarray(0, bytesRead));
      this.#bytesDone += bytesRead;
    }
    if (this.#bytesDone > 0) this.#download.onBytes(this.#bytesDone);
  }

  async #restart(): Promise<void> {
    await this.#partial.restart();
    this.#hasher = new Bun.CryptoHasher("sha256");
    this.#bytesDone = 0;
    this.#download.onBytes(0);
  }

  #isSound(): boolean {
    const { sha256 } = this.#download.file;
    const digest = this.#hasher.digest("hex");
    return sha256 === undefined || digest === sha256;
  }
}

/** Whether an answer goes on at `offset`. */
function continues(response: Response, offset: number): boolean {
  const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
  return response.status === 206 && range !== null && Number(range[1]) === offset;
}

async function writeAll({ handle }: PartialFile, chunk: Uint8Array): Promise<void> {
  let done = 0;
  while (done < chunk.length) {
    const { bytesWritten } = await handle.write(chunk, done, chunk.length - done);
    done += bytesWritten;
  }
}
