/**
 * Holds the house's order: a folder of src/ imports only from folders above it in `layers`, and
 * from another folder only through its index.ts; `bun:ffi` and `process.env` stay where they
 * belong; imports inside a folder make no cycle. Prints each breach and exits with 1.
 *
 *   bun scripts/check-layers.ts
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

/** Bottom up. A folder may import from any folder that stands before it. */
const layers = [
  "errors",
  "native",
  "memory",
  "device",
  "checkpoint",
  "hub",
  "text",
  "quant",
  "graph",
  "tensor",
  "linalg",
  "nn",
  "models",
  "generate",
  "engine",
  "train",
  "report",
  "server",
  "cli",
] as const;

/** Text that only the named folders may contain. */
const reserved: { text: RegExp; folders: string[] }[] = [
  { text: /["']bun:ffi["']/, folders: ["native"] },
  { text: /\bprocess\.env\b|\bBun\.env\b/, folders: ["native", "cli"] },
];

/** Pairs that never see each other, whatever their order. */
const strangers: [string, string][] = [["train", "engine"]];

const root = join(import.meta.dir, "..", "src");
const importPattern =
  /(?:import|export)\s[^;]*?from\s*["']([^"']+)["']|import\(\s*["']([^"']+)["']/g;

const breaches: string[] = [];
const edges = new Map<string, string[]>();

for (const file of sourceFiles()) checkFile(file);
for (const cycle of findCycles()) breaches.push(`cycle: ${cycle.join(" -> ")}`);

for (const breach of breaches) console.error(breach);
console.log(`layers: ${edges.size} files, ${breaches.length} breaches`);
process.exit(breaches.length === 0 ? 0 : 1);

function sourceFiles(): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => normalize(file))
    .sort();
}

function checkFile(file: string): void {
  const text = readFileSync(join(root, file), "utf8");
  const folder = folderOf(file);
  if (folder !== "" && !layers.includes(folder as (typeof layers)[number])) {
    breaches.push(`${file}: the folder "${folder}" is not in the list of layers`);
    return;
  }
  for (const rule of reserved) {
    if (rule.text.test(text) && !rule.folders.includes(folder)) {
      breaches.push(`${file}: only ${rule.folders.join(", ")} may contain ${rule.text.source}`);
    }
  }
  const targets: string[] = [];
  for (const match of text.matchAll(importPattern)) {
    const specifier = match[1] ?? match[2] ?? "";
    if (!specifier.startsWith(".")) continue;
    const target = normalize(join(dirname(file), specifier));
    if (!target.endsWith(".ts") || target.startsWith("..")) continue;
    targets.push(target);
    checkImport({ file, folder, target });
  }
  edges.set(file, targets);
}

function checkImport({ file, folder, target }: Record<"file" | "folder" | "target", string>): void {
  const other = folderOf(target);
  if (other === folder || folder === "") return;
  if (other === "") {
    breaches.push(`${file}: a folder never imports the root's ${target}`);
    return;
  }
  const order = layers as readonly string[];
  if (order.indexOf(other) > order.indexOf(folder)) {
    breaches.push(`${file}: "${folder}" stands below "${other}" and may not import it`);
  }
  if (strangers.some(([a, b]) => a === folder && b === other)) {
    breaches.push(`${file}: "${folder}" and "${other}" never see each other`);
  }
  if (target !== join(other, "index.ts")) {
    breaches.push(`${file}: import "${other}" through its index.ts, not ${target}`);
  }
}

/** The folder of a file relative to src/, or "" for a file that lies in src/ itself. */
function folderOf(file: string): string {
  const [head = "", ...rest] = relative(".", file).split("/");
  return rest.length === 0 ? "" : head;
}

function findCycles(): string[][] {
  const done = new Set<string>();
  const found: string[][] = [];
  const visit = (file: string, path: string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) {
      found.push([...path.slice(at), file]);
      return;
    }
    if (done.has(file)) return;
    for (const target of edges.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of edges.keys()) visit(file, []);
  return found;
}
