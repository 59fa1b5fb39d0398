/**
 * Files inside a compiled binary, laid out where they can be opened: `<folder>/<digest>/` holds
 * them, whole or not at all. Bun can read an embedded file in one piece but cannot open it, and a
 * model is read in ranges.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Files by their path below the folder; the values are the paths Bun embedded them under. */
export type EmbeddedFiles = Readonly<Record<string, string>>;

/**
 * Writes the files unless an earlier run did, and returns the folder that holds them. Where
 * `folder` cannot be written, a new temporary one takes its place.
 */
export function layOutFiles(files: EmbeddedFiles, { folder, digest }: LayOutOptions): string {
  const target = join(folder, digest);
  if (existsSync(target)) return target;
  const contents = Object.entries(files).map(([name, path]) => ({
    name,
    bytes: readFileSync(path),
  }));
  try {
    mkdirSync(folder, { recursive: true });
    return moveIntoPlace(writeInto(mkdtempSync(join(folder, "new-")), contents), target);
  } catch (cause) {
    if (!isReadOnly(cause)) throw cause;
    return writeInto(mkdtempSync(join(tmpdir(), "bitnet-")), contents);
  }
}

/** Where to, and what tells these files from those of another build. */
export interface LayOutOptions {
  readonly folder: string;
  readonly digest: string;
}

function writeInto(folder: string, contents: { name: string; bytes: Uint8Array }[]): string {
  try {
    for (const { name, bytes } of contents) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
    }
    return folder;
  } catch (cause) {
    rmSync(folder, { recursive: true, force: true });
    throw cause;
  }
}

/** Another process may have come first; its files are the same. */
function moveIntoPlace(written: string, target: string): string {
  try {
    renameSync(written, target);
  } catch (cause) {
    rmSync(written, { recursive: true, force: true });
    if (!existsSync(target)) throw cause;
  }
  return target;
}

function isReadOnly(cause: unknown): boolean {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return ["EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR"].some((known) => known === code);
}
