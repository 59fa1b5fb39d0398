/**
 * The cache on disk: `<cacheDir>/<owner>/<name>/<commit>/` holds the files of a model and
 * `manifest.bitnet.json`, which lists them; `<cacheDir>/<owner>/<name>/refs/<branch>` holds the
 * commit that a branch or tag stood for when it was pulled. With both, no network is needed.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncFolder } from "./partial-file.ts";
import type { CachedModel, PulledModel, RepoFile } from "./types.ts";

const manifestName = "manifest.bitnet.json";
const refsName = "refs";

/** What a pull has brought. */
export interface Manifest {
  name: string;
  revision: string;
  pulledAt: string;
  /** The model within the folder: "." for all, or one file. Absent when never pulled whole. */
  main?: string | undefined;
  files: RepoFile[];
}

export function modelFolder(cacheDir: string, name: string): string {
  return join(cacheDir, ...name.split("/"));
}

export function revisionFolder(cacheDir: string, name: string, commit: string): string {
  return join(modelFolder(cacheDir, name), commit);
}

/** The commit a revision stands for as far as the cache knows: a ref, or the revision itself. */
export async function cachedCommit(
  cacheDir: string,
  { name, revision }: { name: string; revision: string },
): Promise<string> {
  const path = refPath(modelFolder(cacheDir, name), revision);
  const text = await readIfPresent(path);
  return text !== undefined && /^[0-9a-f]{7,64}$/.test(text.trim()) ? text.trim() : revision;
}

/**
 * The manifest of a folder whose files are all there in full, or at least `file`; undefined for
 * any other.
 */
export async function readComplete(folder: string, file?: string): Promise<Manifest | undefined> {
  const manifest = await readManifest(folder);
  if (manifest === undefined) return undefined;
  for (const { path, bytes } of manifest.files) {
    const isWanted = file === undefined || path === file;
    if (isWanted && (await fileBytes(join(folder, path))) !== bytes) return undefined;
  }
  return manifest;
}

/** Files of an earlier pull stay listed: one repository may hold several GGUF files. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const before = await readManifest(folder);
  const isNew = ({ path }: RepoFile): boolean => manifest.files.some((file) => file.path === path);
  const others = (before?.files ?? []).filter((file) => !isNew(file));
  const main = manifest.main ?? before?.main;
  const files = [...manifest.files, ...others];
  const present: RepoFile[] = [];
  for (const file of files) {
    if ((await fileBytes(join(folder, file.path))) === file.bytes) present.push(file);
  }
  const text = `${JSON.stringify({ ...manifest, main, files: present }, undefined, 2)}\n`;
  await writeDurably(join(folder, manifestName), text);
}

export async function writeRef(
  cacheDir: string,
  { name, revision, commit }: { name: string; revision: string; commit: string },
): Promise<void> {
  const path = refPath(modelFolder(cacheDir, name), revision);
  await mkdir(dirname(path), { recursive: true });
  await writeDurably(path, `${commit}\n`);
}

/** Size of the file at `path`; undefined when none is there. */
export async function fileBytes(path: string): Promise<number | undefined> {
  try {
    const info = await stat(path);
    return info.isFile() ? info.size : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Where the model of a folder lies: all of it, or its one GGUF file; with `file`, that one.
 * Undefined when the manifest does not tell of it.
 */
export function locate(
  folder: string,
  { revision, files, main }: Manifest,
  file?: string,
): PulledModel | undefined {
  const path = file ?? main;
  if (path === undefined) return undefined;
  const wanted = path === "." ? files : files.filter((one) => one.path === path);
  if (wanted.length === 0) return undefined;
  const bytes = wanted.reduce((sum, one) => sum + one.bytes, 0);
  return { path: join(folder, path), revision, files: wanted.length, bytes };
}

/**
 * All models in the cache that are there in full, by name.
 * A folder without one is an empty list.
 */
export async function listModels(cacheDir: string): Promise<CachedModel[]> {
  const models: CachedModel[] = [];
  for (const owner of await folders(cacheDir)) {
    for (const name of await folders(join(cacheDir, owner))) {
      for (const commit of await folders(join(cacheDir, owner, name))) {
        const path = join(cacheDir, owner, name, commit);
        const manifest = commit === refsName ? undefined : await readComplete(path);
        if (manifest !== undefined) models.push(describe(path, manifest));
      }
    }
  }
  return models.sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

function describe(folder: string, manifest: Manifest): CachedModel {
  const { name, revision, pulledAt, files } = manifest;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const path = locate(folder, manifest)?.path ?? folder;
  return { name, revision, path, files: files.length, bytes, pulledAt };
}

function refPath(folder: string, revision: string): string {
  return join(folder, refsName, encodeURIComponent(revision));
}

async function readManifest(folder: string): Promise<Manifest | undefined> {
  const text = await readIfPresent(join(folder, manifestName));
  if (text === undefined) return undefined;
  try {
    const manifest = JSON.parse(text) as Manifest;
    return isManifest(manifest) ? manifest : undefined;
  } catch {
    return undefined;
  }
}

function isManifest({ name, revision, pulledAt, files }: Partial<Manifest>): boolean {
  const isFile = ({ path, bytes }: Partial<RepoFile>): boolean =>
    typeof path === "string" && !path.split("/").includes("..") && Number.isSafeInteger(bytes);
  const isTexts = [name, revision, pulledAt].every((one) => typeof one === "string");
  return isTexts && Array.isArray(files) && files.length > 0 && files.every(isFile);
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return undefined;
  }
}

async function folders(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** Writes under a name of its own, then renames: readers see the old text or the new. */
async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID().slice(0, 8)}.tmp`;
  {
    await using handle = await open(temporary, "wx");
    await handle.writeFile(text);
    await handle.sync();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}
