/**
 * Pulls a model from the hub into the cache: the files it needs and no others, each checked.
 * Interrupted pulls go on where they stopped; two at once do not disturb each other.
 */
import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { BitNetError } from "../errors/index.ts";
import { fileBytes, locate, revisionFolder, writeManifest, writeRef } from "./cache.ts";
import { HubClient } from "./client.ts";
import { downloadFile } from "./download.ts";
import { findCached } from "./find.ts";
import { checkFileName, checkHubName, checkRevision } from "./names.ts";
import { bytesLeftBehind } from "./partial-file.ts";
import { selectFiles } from "./select-files.ts";
import type { HubOptions, PulledModel, RepoFile } from "./types.ts";

/**
 * Brings `owner/name` at a revision up to date in the cache.
 * @throws BitNetError hub/unauthorized, hub/not-found, hub/unreachable, hub/hash-mismatch and
 *   others of `hub/`; the signal's reason when aborted, what has arrived stays for the next pull
 */
export async function pullModel(name: string, options: HubOptions): Promise<PulledModel> {
  checkHubName(name);
  const revision = options.revision ?? "main";
  checkRevision(revision);
  if (options.file !== undefined) checkFileName(options.file, name);
  options.signal?.throwIfAborted();
  if (options.offline === true) return findCached(name, options);

  const client = new HubClient(options);
  const commit = await client.commitOf({ name, revision });
  const repo = { name, revision: commit };
  const files = selectFiles(await client.filesOf(repo), { name, file: options.file });
  const folder = revisionFolder(options.cacheDir, name, commit);
  const pulledAt = new Date().toISOString();
  const main = options.file === undefined ? mainOf(files, name) : undefined;
  const manifest = { name, revision: commit, pulledAt, main, files };
  await onDisk(folder, async () => {
    await mkdir(folder, { recursive: true });
    const missing = await missingFiles(folder, files);
    await checkSpace(folder, missing);
    const progress = new ProgressReport(files, missing, options.onProgress);
    for (const file of missing) {
      await downloadFile({
        client,
        repo,
        file,
        finalPath: join(folder, file.path),
        signal: options.signal,
        retries: options.retries,
        onBytes: (bytes) => progress.at(file, bytes),
      });
      progress.done(file);
    }
    await writeManifest(folder, manifest);
    await writeRef(options.cacheDir, { name, revision, commit });
  });
  return locate(folder, manifest, options.file) ?? findCached(name, options);
}

/** What a model's files are opened by: their folder, or the one GGUF file. */
function mainOf(files: readonly RepoFile[], name: string): string {
  const [first] = files;
  if (files.some(({ path }) => path === "config.json")) return ".";
  if (first?.path.endsWith(".gguf") === true) return first.path;
  throw new BitNetError(
    "hub/no-model-files",
    `${name}: expected a config.json beside the weights, the repository holds none`,
  );
}

/** The folder belongs to one commit, so a file of the right size is the right file. */
async function missingFiles(folder: string, files: readonly RepoFile[]): Promise<RepoFile[]> {
  const missing: RepoFile[] = [];
  for (const file of files) {
    if ((await fileBytes(join(folder, file.path))) !== file.bytes) missing.push(file);
  }
  return missing;
}

async function checkSpace(folder: string, missing: readonly RepoFile[]): Promise<void> {
  let wanted = sizeOf(missing);
  for (const file of missing) wanted -= await bytesLeftBehind(join(folder, file.path), file);
  const { bavail, bsize } = await statfs(folder);
  if (wanted <= bavail * bsize) return;
  throw new BitNetError(
    "hub/cache-io",
    `${folder}: expected ${wanted} free bytes for the model, got ${bavail * bsize}; make room`,
  );
}

/** Failures of the file system become errors that name the folder. */
async function onDisk(folder: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (cause) {
    const isSystem = cause instanceof Error && "syscall" in cause && "code" in cause;
    if (!isSystem) throw cause;
    throw new BitNetError(
      "hub/cache-io",
      `${folder}: cannot write the model (${String(cause.code)}); check the folder and the disk`,
      { cause },
    );
  }
}

/** Tells how far a pull has come, ten times a second at most and once a file. */
class ProgressReport {
  readonly #report: HubOptions["onProgress"];
  readonly #bytesTotal: number;
  readonly #filesTotal: number;
  #bytesBefore: number;
  #filesDone: number;
  #nextMs = 0;

  constructor(
    files: readonly RepoFile[],
    missing: readonly RepoFile[],
    report: HubOptions["onProgress"],
  ) {
    this.#report = report;
    this.#bytesTotal = sizeOf(files);
    this.#filesTotal = files.length;
    this.#bytesBefore = this.#bytesTotal - sizeOf(missing);
    this.#filesDone = files.length - missing.length;
  }

  at(file: RepoFile, bytes: number): void {
    const now = performance.now();
    if (now < this.#nextMs) return;
    this.#nextMs = now + 100;
    this.#tell(file, bytes);
  }

  done(file: RepoFile): void {
    this.#bytesBefore += file.bytes;
    this.#filesDone++;
    this.#tell(file, 0);
  }

  #tell({ path }: RepoFile, bytes: number): void {
    this.#report?.({
      file: path,
      bytesDone: this.#bytesBefore + bytes,
      bytesTotal: this.#bytesTotal,
      filesDone: this.#filesDone,
      filesTotal: this.#filesTotal,
    });
  }
}

function sizeOf(files: readonly RepoFile[]): number {
  return files.reduce((sum, file) => sum + file.bytes, 0);
}
