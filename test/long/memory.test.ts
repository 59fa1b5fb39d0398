/**
 * The native pool at length: its Zig tests with millions of operations and 10^8 without growth, the
 * same tests under the thread sanitizer, and what bench/memory.ts prints after a native build.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { zigEnvironment } from "../../scripts/setup/steps.mjs";
import { findZig } from "../../scripts/setup/tools.mjs";

const isLong = process.env.BITNET_LONG === "1";
const root = join(import.meta.dir, "..", "..");
const zig = findZig(root)!;
const minutes = 60_000;

function zigTests(options: string[], campaign: boolean): string {
  const env: NodeJS.ProcessEnv = { ...zigEnvironment(root) };
  if (!campaign) delete env.BITNET_LONG;
  const { exitCode, stderr } = Bun.spawnSync(
    [zig, "test", "-lc", "-OReleaseSafe", ...options, "zig/memory_tests.zig"],
    { cwd: root, env },
  );
  return exitCode === 0 ? "passed" : stderr.toString().slice(-4000);
}

test.skipIf(!isLong)(
  "2.5 million random operations agree with a model, 100 million do not make the pool grow",
  () => expect(zigTests([], true)).toBe("passed"),
  30 * minutes,
);

// Its runtime is there for Linux.
test.skipIf(!isLong || process.platform !== "linux")(
  "eight threads under the thread sanitizer race nowhere",
  () => expect(zigTests(["-fsanitize-thread"], false)).toBe("passed"),
  30 * minutes,
);

test.skipIf(!isLong)(
  "bench/memory.ts --json prints one object of the fixed shape",
  () => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(
      [process.execPath, "bench/memory.ts", "--smoke", "--json"],
      { cwd: root },
    );
    expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
    const result = JSON.parse(stdout.toString());
    const ns = expect.any(Number);
    expect(result).toMatchObject({
      small: { allocateNs: ns, freeNs: ns },
      large: { allocateNs: ns, freeNs: ns },
      tracking: { overheadPercent: ns },
    });
    const names = ["small", "small_pairs", "large", "producer_consumer", "random"];
    names.push("eager_tensors", "engine");
    expect(result.traces.map(({ name }: { name: string }) => name)).toEqual(names);
    for (const { nsPerOp, rivals } of result.traces) {
      expect(nsPerOp).toBeGreaterThan(0);
      expect(Object.keys(rivals)).toEqual(["glibc", "mimalloc", "jemalloc"]);
    }
  },
  5 * minutes,
);
