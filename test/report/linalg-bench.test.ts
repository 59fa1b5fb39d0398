/** The command line of bench/linalg.ts: what it prints is read by other programs. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const bench = join(import.meta.dir, "..", "..", "bench", "linalg.ts");

test("bench/linalg.ts --smoke --json prints one object of the fixed shape", () => {
  const { exitCode, stdout } = Bun.spawnSync(
    [process.execPath, bench, "--smoke", "--json", "--threads", "1"],
    { stderr: "ignore" },
  );
  expect(exitCode).toBe(0);
  const figure = expect.any(Number);
  expect(JSON.parse(stdout.toString())).toEqual({
    size: 24,
    threads: 1,
    svdValuesMs: figure,
    svdMs: figure,
    qrMs: figure,
    choleskyMs: figure,
    matmulGflops: figure,
    numpy: null,
  });
});

test("bench/linalg.ts: a size that makes no sense is refused in one sentence", () => {
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, bench, "--size", "big"]);
  expect(exitCode).toBe(2);
  expect(stderr.toString().trim()).toBe("--size: want 1 to 8192, got big");
});
