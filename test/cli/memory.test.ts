/** `bitnet run --memory-report` and `bitnet doctor --memory`, on the real engine. */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bitnet } from "./run-bitnet.ts";

const run = ["run", "The wolf", "-n", "8", "--temperature", "0"];

test("run --memory-report tells behind the story what the engine held, by tag", async () => {
  const [plain, told] = await Promise.all([
    bitnet([...run, "-q"]),
    bitnet([...run, "--memory-report"]),
  ]);
  expect(told.exitCode).toBe(0);
  expect(told.stdout).toBe(plain.stdout);
  expect(told.stderr).toMatch(/^pool "engine": [\d.]+ MiB used in \d+ blocks, peak [\d.]+ MiB/m);
  for (const tag of ["weights", "kv-cache", "arena"]) {
    expect(told.stderr).toMatch(new RegExp(`^${tag} +[\\d.]+ MiB +[\\d.]+ % +\\d+ +\\d+`, "m"));
  }
  expect(told.stderr).toMatch(/^input +0 B +0\.0 % +0 +\d+ +[\d.]+ [mu]?s$/m);
  expect(told.stderr).toMatch(
    /^idle context of \d+ tokens of fairy-tales +[\d.]+ [KM]iB +\S+ ms$/m,
  );
  expect(told.stderr).toMatch(/^may be resident +[\d.]+ MiB$/m);
});

test("run --memory-report=file.svg draws it, --json puts it into the object", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bitnet-memory-"));
  const file = join(folder, "memory.svg");
  try {
    const { exitCode, stdout, stderr } = await bitnet([
      ...run,
      "-q",
      "--json",
      `--memory-report=${file}`,
    ]);
    expect(exitCode).toBe(0);
    expect(stderr).toBe(`memory over time: ${file}\n`);
    expect(readFileSync(file, "utf8")).toMatch(/^<svg [\s\S]*weights[\s\S]*<\/svg>\n$/);
    const { text, memory } = JSON.parse(stdout);
    expect(text).not.toBe("");
    expect(memory.pool).toBe("engine");
    expect(memory.metrics.used).toBeGreaterThan(1 << 20);
    expect(memory.tags.map(({ tag }: { tag: string }) => tag)).toContain("kv-cache");
    expect(memory.timeline.peak).toHaveLength(240);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("run --memory-report refuses a file that is no drawing before anything is loaded", async () => {
  for (const value of ["out.png", ""]) {
    const { exitCode, stdout, stderr } = await bitnet([...run, `--memory-report=${value}`]);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("code: cli/invalid-value");
  }
  expect(existsSync("out.png")).toBe(false);
});

test("doctor --memory looks at the system, at pools and faults, and at the engine", async () => {
  const [plain, json] = await Promise.all([
    bitnet(["doctor", "--memory"]),
    bitnet(["doctor", "--memory", "--json"]),
  ]);
  expect(plain.stdout).toMatch(/^ok +pool +14 blocks up to 80\.0 MiB came and went/m);
  expect(plain.stdout).toMatch(/^ok +faults +damage, foreign blocks, double frees are seen$/m);
  expect(plain.stdout).toMatch(/^ok +engine +[\d.]+ MiB for a story \(.*weights [\d.]+ MiB/m);
  expect(plain.stdout).toMatch(/^ok +cleaning +[\d.]+ [KM]iB of an idle model freed in /m);
  const { checks } = JSON.parse(json.stdout);
  expect(checks.map(({ name }: { name: string }) => name)).toEqual([
    "system",
    "pages",
    "pool",
    "faults",
    "engine",
    "cleaning",
  ]);
  expect([plain.exitCode, json.exitCode]).toEqual([0, 0]);
});
