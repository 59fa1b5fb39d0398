/** The command lines of the benches of tensors. */
import { expect, test } from "bun:test";
import { join } from "node:path";

function smoke(name: string): Record<string, unknown> {
  const bench = join(import.meta.dir, "..", "..", "bench", `${name}.ts`);
  const { exitCode, stdout } = Bun.spawnSync([process.execPath, bench, "--smoke", "--json"], {
    stderr: "inherit",
  });
  expect(exitCode).toBe(0);
  return JSON.parse(stdout.toString());
}

for (const [name, first, count] of [
  ["tensor-elementwise", "add", 6],
  ["tensor-reductions", "sum", 7],
] as const) {
  test(`bench/${name}.ts --smoke --json prints one object of the fixed shape`, () => {
    const { numpy, rows } = smoke(name) as { numpy: null; rows: Record<string, unknown>[] };
    expect(numpy).toBeNull();
    expect(rows).toHaveLength(count);
    const number = expect.any(Number);
    expect(rows[0]).toEqual({
      name: first,
      elements: 4000,
      microseconds: number,
      bytesPerSecond: number,
      bandwidthBytesPerSecond: number,
      shareOfBandwidth: number,
      plainRatio: number,
      numpyRatio: null,
    });
    for (const row of rows) expect(row.shareOfBandwidth).toBeGreaterThan(0);
  });
}

test("bench/tensor-small.ts --smoke --json gives nanoseconds by way of adding", () => {
  const { nanoseconds } = smoke("tensor-small") as { nanoseconds: Record<string, number> };
  expect(Object.keys(nanoseconds)).toEqual([
    "recorded",
    "computed at once",
    "compiled function",
    "in a Program",
    "in a Program, fused",
    "plain loop",
  ]);
  expect(Math.min(...Object.values(nanoseconds))).toBeGreaterThan(0);
});
