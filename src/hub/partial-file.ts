/**
 * A download in progress on disk, safe against a second pull of the same file.
 *
 * What is left of a broken pull is `<path>.<id>.partial`. A pull takes it by renaming it to a
 * name of its own, which only one can do; whoever finds none begins anew. Giving up renames it
 * back. What a dead process has left under its own name is taken in the same way.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, open, readdir, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import type { RepoFile } from "./types.ts";

/** A download that nobody has written to for so long has lost its process. */
const abandonedMs = 10 * 60_000;

/** An open partial file, with the bytes it already has. */
export class PartialFile {
  readonly handle: FileHandle;
  readonly bytesAtStart: number;
  readonly #path: string;
  readonly #sharedPath: string;

  private constructor(
    handle: FileHandle,
    paths: { path: string; sharedPath: string },
    size: number,
  ) {
    this.handle = handle;
    this.bytesAtStart = size;
    this.#path = paths.path;
    this.#sharedPath = paths.sharedPath;
  }

  /** Takes over what is there for `file`, or creates an empty one, beside `finalPath`. */
  static async claim(finalPath: string, file: RepoFile): Promise<PartialFile> {
    const sharedPath = sharedPathOf(finalPath, file);
    const owner = `${hostKey()}-${process.pid}-${randomUUID().slice(0, 8)}`;
    const path = `${sharedPath}.${owner}`;
    for (const candidate of [sharedPath, ...(await abandoned(sharedPath))]) {
      if (await tryRename(candidate, path)) break;
    }
    const handle = await open(path, "a+");
    const { size } = await handle.stat();
    return new PartialFile(handle, { path, sharedPath }, size);
  }

  /** Empties the file, to begin anew. */
  async restart(): Promise<void> {
    await this.handle.truncate(0);
  }

  /** The file is whole: it is made durable and gets its name. */
  async finish(finalPath: string): Promise<void> {
    await this.handle.sync();
    await this.handle.close();
    await rename(this.#path, finalPath);
    await syncFolder(dirname(finalPath));
  }

  /** The pull ends here: what has arrived is kept for the next one. */
  async release(): Promise<void> {
    const { size } = await this.handle.stat();
    await this.handle.close();
    const isLarger = size > (await sizeOf(this.#sharedPath));
    if (isLarger) await rename(this.#path, this.#sharedPath);
    else await rm(this.#path, { force: true });
  }

  /** What has arrived is worth nothing. */
  async discard(): Promise<void> {
    await this.handle.close();
    await rm(this.#path, { force: true });
  }
}

/** How much of a file an earlier pull has left. */
export async function bytesLeftBehind(finalPath: string, file: RepoFile): Promise<number> {
  return Math.max(0, await sizeOf(sharedPathOf(finalPath, file)));
}

/** Makes a rename in `folder` durable; some systems cannot, and need not. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    await using handle = await open(folder, "r");
    await handle.sync();
  } catch {
    return;
  }
}

function sharedPathOf(finalPath: string, file: RepoFile): string {
  const id = file.id.replaceAll(/[^A-Za-z0-9]/g, "").slice(0, 16);
  return `${finalPath}.${id}.partial`;
}

async function abandoned(sharedPath: string): Promise<string[]> {
  const folder = dirname(sharedPath);
  const prefix = `${basename(sharedPath)}.`;
  const paths: string[] = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix)) continue;
    const path = join(folder, name);
    if (await isAbandoned(path, name.slice(prefix.length))) paths.push(path);
  }
  return paths;
}

async function isAbandoned(path: string, owner: string): Promise<boolean> {
  const [host, pid] = owner.split("-");
  if (host === hostKey() && !isAlive(Number(pid))) return true;
  try {
    return Date.now() - (await stat(path)).mtimeMs > abandonedMs;
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code !== "ESRCH";
  }
}

/** The host's name without the mark that parts an owner's fields. */
function hostKey(): string {
  return hostname()
    .replaceAll(/[^A-Za-z0-9]/g, "_")
    .slice(0, 40);
}

async function tryRename(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch {
    return false;
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return -1;
  }
}
