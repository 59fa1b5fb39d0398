/**
 * Fails a test file that leaves native memory behind: what the engine's pool and pools of its own
 * hold more after its last test than before its first. The preload adds the check to every file.
 * A file whose fixtures live as long as the process says so with `allowAlive`.
 */
import { afterAll } from "bun:test";
import { plugin } from "bun";
import { type AllowedLeak, LeakCheck } from "../src/memory/index.ts";

let check = new LeakCheck();
let allowed: AllowedLeak[] = [];

/** In a test file: these pools, or what has these tags, may stay. */
export function allowAlive(...pools: AllowedLeak[]): void {
  allowed.push(...pools);
}

/** Called at the end of each test file, so that its own hooks come before. */
export function checkLeaks(): void {
  afterAll(async () => {
    const leaks = await check.find({ allow: allowed });
    if (leaks.length === 0) return;
    throw new Error(`this file leaves native memory behind:\n${leaks.join("\n")}`);
  });
}

/** Adds the check to every test file that is loaded from now on. */
export function checkEveryFile(): void {
  const call = `\nimport { checkLeaks } from ${JSON.stringify(import.meta.path)}; checkLeaks();`;
  plugin({
    name: "leaks",
    setup(build) {
      build.onLoad({ filter: /\.test\.ts$/ }, async ({ path }) => {
        check = new LeakCheck();
        allowed = [];
        return { contents: (await Bun.file(path).text()) + call, loader: "ts" };
      });
    },
  });
}
