/**
 * Everything about the code that a machine can judge, one line per check, and the counts at the
 * end. Writes nothing (the generated bindings are compared, then put back as they were).
 *
 *   npm run check
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deadFiles } from "./check/dead-files.ts";
import { houseRules } from "./check/house-rules.ts";
import { zigEnvironment } from "./setup/steps.mjs";
import { findZig } from "./setup/tools.mjs";

const root = join(import.meta.dir, "..");
const bun = process.execPath;
const zig = findZig(root);
const generated = "src/native/abi.gen.ts";

/** A check gives the breaches it found, each one line or the output of a tool. */
const checks: Record<string, () => string[]> = {
  "format and lint": () =>
    tool([bun, "node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings", "."]),
  types: () => tool([bun, "node_modules/typescript/bin/tsc", "--noEmit", "-p", "."]),
  layers: () => tool([bun, "scripts/check-layers.ts"]),
  "zig format": () => tool([zig, "fmt", "--check", "zig", "bench/native"]),
  "generated bindings": checkGenerated,
  ...houseRules(root),
  "dead files": () => deadFiles(root),
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const breaches = check();
  if (breaches.length > 0) failed += 1;
  console.log(`${breaches.length === 0 ? "ok    " : "FAILED"} ${name}`);
  for (const breach of breaches) console.log(breach.replace(/^/gm, "       "));
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

function tool(command: string[]): string[] {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, {
    cwd: root,
    env: zigEnvironment(root),
  });
  return exitCode === 0 ? [] : [`${stdout}${stderr}`.trim() || `exit code ${exitCode}`];
}

function checkGenerated(): string[] {
  const path = join(root, generated);
  const before = existsSync(path) ? readFileSync(path, "utf8") : "";
  const failures = tool([zig, "build", "abi", "--build-file", "zig/build.zig"]);
  if (failures.length > 0) return failures;
  if (readFileSync(path, "utf8") === before) return [];
  writeFileSync(path, before);
  return [`${generated} is not what zig/abi.zig says: run \`zig build abi\` and commit it`];
}
