/**
 * Declarations for consumers into dist/types: their compiler options differ from ours, so they get
 * types without sources to check. `npm pack` runs this by itself.
 *
 *   node scripts/run.mjs scripts/build-types.ts
 */
import { rmSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");

/** Writes dist/types; ends the process when the sources do not compile. */
export function buildTypes(): void {
  rmSync(join(root, "dist/types"), { recursive: true, force: true });
  const { exitCode } = Bun.spawnSync(
    [process.execPath, "node_modules/typescript/bin/tsc", "-p", "scripts/tsconfig.types.json"],
    { cwd: root, stdout: 2, stderr: 2 },
  );
  if (exitCode !== 0) process.exit(exitCode);
}

if (import.meta.main) buildTypes();
