/** `bitnet run --profile`, on the real engine. */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bitnet } from "./run-bitnet.ts";

const run = ["run", "The wolf", "-n", "8", "--temperature", "0"];

test("run --profile tells behind the story where the time went, and changes no word of it", async () => {
  const [plain, told] = await Promise.all([bitnet([...run, "-q"]), bitnet([...run, "--profile"])]);
  expect(told.exitCode).toBe(0);
  expect(told.stdout).toBe(plain.stdout);
  expect(told.stderr).toMatch(/^instruction +calls +time +share +moved +GB\/s +GFLOP\/s$/m);
  expect(told.stderr).toMatch(
    /^\w+ ternary_matmul i8\(.* +\d+ +[\d.]+ [mu]s +[\d.]+ % +[\d.]+ [KM]iB +[\d.]+ +[\d.]+$/m,
  );
});

test("run --profile=file.json --profile=file.svg writes a trace and a drawing, --json the rows", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bitnet-profile-"));
  const [trace, drawing] = [join(folder, "trace.json"), join(folder, "time.svg")];
  try {
    const files = [`--profile=${trace}`, `--profile=${drawing}`];
    const { exitCode, stdout, stderr } = await bitnet([...run, "-q", "--json", ...files]);
    expect(exitCode).toBe(0);
    expect(stderr).toBe(`trace for ui.perfetto.dev: ${trace}\ntime by instruction: ${drawing}\n`);
    const { traceEvents } = JSON.parse(readFileSync(trace, "utf8"));
    expect(traceEvents).toContainEqual(
      expect.objectContaining({ ph: "X", name: "ternary_matmul", cat: "decode", pid: 1 }),
    );
    expect(readFileSync(drawing, "utf8")).toMatch(/^<svg [\s\S]*ternary_matmul[\s\S]*<\/svg>\n$/);
    const { profile } = JSON.parse(stdout);
    const heads = profile.rows.filter(({ op }: { op: string }) => op === "sample");
    expect(heads).toEqual([expect.objectContaining({ program: "decode", calls: 8 })]);
    expect(profile.seconds).toBeGreaterThan(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("run --profile refuses other files before anything is loaded", async () => {
  for (const value of ["out.png", ""]) {
    const { exitCode, stdout, stderr } = await bitnet([...run, `--profile=${value}`]);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("code: cli/invalid-value");
  }
  expect(existsSync("out.png")).toBe(false);
});
