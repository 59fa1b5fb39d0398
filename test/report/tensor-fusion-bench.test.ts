/** The command line of bench/tensor-fusion.ts: each expression with the passes and without. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const bench = join(import.meta.dir, "..", "..", "bench", "tensor-fusion.ts");

test("bench/tensor-fusion.ts --smoke --json prints one object of the fixed shape", () => {
  const { exitCode, stdout } = Bun.spawnSync(
    [process.execPath, bench, "--smoke", "--json", "--threads", "1"],
    { stderr: "inherit" },
  );
  expect(exitCode).toBe(0);
  const { expressions, compileMicroseconds } = JSON.parse(stdout.toString());
  expect(expressions).toHaveLength(8);
  const time = expect.any(Number);
  expect(expressions[0]).toEqual({
    name: "relu(x * a + a)",
    elements: 64,
    fusedMs: time,
    separateMs: time,
    ratio: time,
  });
  for (const { fusedMs, separateMs } of expressions) {
    expect(Math.min(fusedMs, separateMs)).toBeGreaterThan(0);
  }
  expect(compileMicroseconds).toEqual({ fused: time, separate: time });
});
