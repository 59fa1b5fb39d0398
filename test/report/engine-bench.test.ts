/** The command line of bench/engine.ts: what it prints is read by other programs. */
import { expect, test } from "bun:test";
import { join } from "node:path";

const bench = join(import.meta.dir, "..", "..", "bench", "engine.ts");

test("bench/engine.ts --json prints one object of the fixed shape", async () => {
  const { code, stdout } = await runBench("--smoke", "--json", "--threads", "1");
  expect(code).toBe(0);
  const rate = expect.any(Number);
  const result = JSON.parse(stdout) as Record<string, unknown>;
  expect(result).toEqual({
    geometry: "smoke",
    threads: 1,
    isa: expect.any(String),
    precision: "fast",
    packing: "tile2",
    decode: { tokensPerSecond: rate, bytesPerToken: rate },
    prefill: [
      { tokens: 128, tokensPerSecond: rate },
      { tokens: 512, tokensPerSecond: rate },
    ],
    machine: { readBytesPerSecond: rate, int8OpsPerSecond: rate },
    residentBytes: rate,
    loadSeconds: rate,
  });
  for (const figure of figuresOf(result)) expect(figure).toBeGreaterThan(0);
});

test("bench/engine.ts: options that make no sense are refused in one sentence", async () => {
  for (const [option, value, wanted] of [
    ["--geometry", "7b", "2b4t or 110m"],
    ["--threads", "many", "1 to 64"],
    ["--precision", "half", "fast or exact"],
  ] as const) {
    const { code, stderr } = await runBench(option, value);
    expect(code).toBe(2);
    expect(stderr.trim()).toBe(`${option}: want ${wanted}, got ${value}`);
  }
});

async function runBench(...options: string[]) {
  const child = Bun.spawn([process.execPath, bench, ...options], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

function figuresOf(value: unknown): number[] {
  if (typeof value === "number") return [value];
  return typeof value === "object" && value ? Object.values(value).flatMap(figuresOf) : [];
}
