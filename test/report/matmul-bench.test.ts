/** The command line of bench/matmul.ts: what it prints is read by other programs. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const bench = join(import.meta.dir, "..", "..", "bench", "matmul.ts");

test("bench/matmul.ts --smoke --json prints one object of the fixed shape", () => {
  const { exitCode, stdout } = Bun.spawnSync(
    [process.execPath, bench, "--smoke", "--json", "--threads", "1"],
    { stderr: "ignore" },
  );
  expect(exitCode).toBe(0);
  const rate = expect.any(Number);
  const result = JSON.parse(stdout.toString());
  expect(result).toMatchObject({ peakFlopsPerSecond: rate, numpy: null });
  expect(result.sizes).toEqual([
    { size: 32, flopsPerSecond: rate, shareOfPeak: rate, numpyFlopsPerSecond: null, ratio: null },
  ]);
  expect(result.sizes[0].shareOfPeak).toBeGreaterThan(0);
});
