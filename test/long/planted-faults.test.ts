/**
 * Plants one fault at a time into a copy of the checkout, builds it, and runs the part of the suite
 * that must notice: each fault has to turn it red. With BITNET_LONG only.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { corePath, zigEnvironment } from "../../scripts/setup/steps.mjs";
import { findZig } from "../../scripts/setup/tools.mjs";
import { faults } from "./faults.ts";

const isLong = process.env.BITNET_LONG === "1";
const minute = 60_000;

const checkout = join(import.meta.dir, "..", "..");
const copied = [
  ...["src", "zig", "test", "scripts"],
  ...["package.json", "package-lock.json", "bunfig.toml", "tsconfig.json"],
];
const linked = ["node_modules", "models"];
/** Enough to see levels differ, at a third of the time that all of them take to compile. */
const levels = process.arch === "arm64" ? ["scalar", "neon"] : ["scalar", "avx2"];

const here = faults.filter(({ arch }) => arch === undefined || arch === process.arch);

describe.skipIf(!isLong)("in a copy of the checkout", () => {
  let copy = "";

  beforeAll(async () => {
    copy = await mkdtemp(join(tmpdir(), "bitnet-faults-"));
    const isSource = (path: string): boolean => !basename(path).startsWith(".zig-cache");
    for (const name of copied) {
      await cp(join(checkout, name), join(copy, name), { recursive: true, filter: isSource });
    }
    for (const name of linked) await symlink(join(checkout, name), join(copy, name));
  }, minute);
  afterAll(() => rm(copy, { recursive: true }));

  test(
    "the suite is green without a fault",
    async () => {
      await build();
      const { failed, output } = await run([...new Set(here.flatMap(({ tests }) => tests))]);
      if (failed) throw new Error(`the copy fails by itself:\n${output}`);
    },
    5 * minute,
  );

  for (const { name, file, find, replace, tests } of here) {
    test(
      `${name}: the suite turns red`,
      async () => {
        const path = join(copy, file);
        const sound = await Bun.file(path).text();
        // A find that is not there exactly once plants nothing, or something else.
        expect({ file, find, count: sound.split(find).length - 1 }).toMatchObject({ count: 1 });
        await Bun.write(
          path,
          sound.replace(find, () => replace),
        );
        try {
          if (file.startsWith("zig/")) await build();
          const { failed, output } = await run(tests);
          if (!failed) throw new Error(`nobody noticed:\n${output}`);
        } finally {
          await Bun.write(path, sound);
        }
      },
      3 * minute,
    );
  }

  /** Builds the copy's core with few levels. */
  async function build(): Promise<void> {
    const options = levels.map((level) => `-Dlevels=${level}`);
    const files = ["--build-file", "zig/build.zig", "--prefix", "zig-out"];
    const { code, output } = await spawn([findZig(copy), "build", ...files, ...options]);
    if (code !== 0) throw new Error(`the fault does not compile:\n${output}`);
  }

  /** Runs tests of the copy; they have failed only where tests did run and one was red. */
  async function run(tests: string[]): Promise<{ failed: boolean; output: string }> {
    const files = tests.map((file) => `./${join("test", file)}`);
    const { code, output } = await spawn([process.execPath, "test", "--timeout=30000", ...files]);
    const failures = Number(/^ *(\d+) fail$/m.exec(output)?.[1] ?? 0);
    if ((code !== 0) !== failures > 0) throw new Error(`the tests did not run:\n${output}`);
    return { failed: failures > 0, output };
  }

  async function spawn(command: string[]): Promise<{ code: number; output: string }> {
    const child = Bun.spawn(command, {
      cwd: copy,
      env: { ...zigEnvironment(copy), BITNET_CORE: corePath(copy), BITNET_LONG: "" },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { code: await child.exited, output: out + err };
  }
});
