/**
 * Files that nothing uses: those of src/ that no entry (what the package exports, the command, a
 * bench) reaches by imports, and those in Zig that no build file reaches by name.
 */
import { dirname, join, normalize } from "node:path";
import { type SourceFile, sourceFiles } from "./files.ts";

const roots = [
  "src/index.ts",
  "src/memory/index.ts",
  "src/cli/main.ts",
  "src/cli/binary.ts",
  "zig/build.zig",
  "bench/native/build.zig",
];

/** Any quoted path to a file counts: import, import(), new URL, new Worker, @import, path(). */
const typescriptPath = /["'`](\.{1,2}\/[^"'`]+\.ts)["'`]/g;
const zigPath = /"([^"\n]+\.zig)"/g;

/** The paths of files that no root reaches. */
export function deadFiles(root: string): string[] {
  const files = new Map(
    sourceFiles(root)
      .filter(({ path }) => /^((src|bench)\/.*\.ts|(zig|bench)\/.*\.zig)$/.test(path))
      .map((file) => [file.path, file]),
  );
  const reached = new Set<string>();
  const visit = (path: string): void => {
    const file = files.get(path);
    if (file === undefined || reached.has(path)) return;
    reached.add(path);
    for (const target of targetsOf(file)) visit(target);
  };
  for (const path of files.keys()) {
    if (roots.includes(path) || /^bench\/.*\.ts$/.test(path)) visit(path);
  }
  return [...files.keys()]
    .filter((path) => !reached.has(path))
    .map((path) => `${path}: nothing uses it`);
}

function targetsOf({ path, lines }: SourceFile): string[] {
  const pattern = path.endsWith(".zig") ? zigPath : typescriptPath;
  return [...lines.join("\n").matchAll(pattern)].map(([, target = ""]) =>
    normalize(join(dirname(path), target)).replaceAll("\\", "/"),
  );
}
