/** The files of the house that its rules are about: code, without fixtures and build outputs. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A file with its path from the root, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly lines: readonly string[];
}

const folders = ["src", "zig", "metal", "scripts", "bin", "bench", "examples", "test"];
const codeEnding = /\.(ts|mjs|zig|metal)$/;

/** Every code file below the house's folders, in order. */
export function sourceFiles(root: string): SourceFile[] {
  return folders.flatMap((folder) => filesBelow(root, folder)).map((path) => read(root, path));
}

function filesBelow(root: string, folder: string): string[] {
  return listing(join(root, folder))
    .filter((entry) => !entry.name.startsWith(".") && entry.name !== "zig-out")
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (path === "test/fixtures") return [];
      if (entry.isDirectory()) return filesBelow(root, path);
      return codeEnding.test(path) ? [path] : [];
    });
}

function listing(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

function read(root: string, path: string): SourceFile {
  return { path, lines: readFileSync(join(root, path), "utf8").trimEnd().split("\n") };
}
