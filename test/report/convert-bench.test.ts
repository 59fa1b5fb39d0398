/** The command line of bench/convert.ts: what it prints is read by other programs. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const bench = join(import.meta.dir, "..", "..", "bench", "convert.ts");

type Figures = Record<string, number>;
interface Report extends Record<"readBytesPerSecond" | "copyBytesPerSecond", number> {
  conversions: Figures[];
  loading: Figures[];
}

test("bench/convert.ts --smoke --json prints rates above 0 for every pair", async () => {
  const child = Bun.spawn([process.execPath, bench, "--smoke", "--json"], { stderr: "inherit" });
  const report = (await new Response(child.stdout).json()) as Report;
  expect(await child.exited).toBe(0);
  const { readBytesPerSecond, copyBytesPerSecond, conversions, loading } = report;
  expect(readBytesPerSecond).toBeGreaterThan(0);
  expect(copyBytesPerSecond).toBeGreaterThan(0);
  expect(conversions.length).toBeGreaterThan(5);
  const rates = ["bytesPerSecond", "measuredBytesPerSecond", "plainBytesPerSecond", "timesPlain"];
  for (const conversion of conversions) {
    for (const name of rates) expect(conversion[name]).toBeGreaterThan(0);
  }
  for (const load of loading) {
    expect(load.milliseconds).toBeGreaterThan(0);
    expect(load.plainMilliseconds).toBeGreaterThan(0);
  }
});
