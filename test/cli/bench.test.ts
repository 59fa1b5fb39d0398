/** `bitnet bench` as people and scripts call it: the shape of its output, never its speed. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bitnet, startBitnet } from "./run-bitnet.ts";

const folder = mkdtempSync(join(tmpdir(), "cli-bench-"));
afterAll(() => rmSync(folder, { recursive: true }));
const quick = ["bench", "-p", "16", "-n", "4", "-r", "1", "-t", "1", "-q"];

describe("bitnet bench", () => {
  test("json, jsonl and csv hold the same tests under llama-bench's names", async () => {
    const options = [...quick, "-d", "0,32"];
    const json = await bitnet([...options, "-o", "json"]);
    expect(json.exitCode).toBe(0);
    const records = JSON.parse(json.stdout);
    const names = ["pp16", "tg4", "pp16 @ d32", "tg4 @ d32"];
    expect(records.map(({ test: name }: { test: string }) => name)).toEqual(names);
    const rate = expect.any(Number);
    for (const { avg_ts, limit_share } of records) {
      expect(Math.min(avg_ts, limit_share)).toBeGreaterThan(0);
    }
    expect(records[3]).toMatchObject({
      model_filename: "fairy-tales",
      model_type: "bitnet",
      n_threads: 1,
      n_prompt: 0,
      n_gen: 4,
      n_depth: 32,
      avg_ts: rate,
      stddev_ts: 0,
      limit: "memory",
      limit_share: rate,
      read_bytes_per_second: rate,
      int8_ops_per_second: rate,
    });
    const lines = (await bitnet([...options, "-o", "jsonl"])).stdout.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).test)).toEqual(names);
    const [header, ...rows] = (await bitnet([...options, "-o", "csv"])).stdout.trim().split("\n");
    expect(header).toStartWith("build_commit,build_version,cpu_info");
    expect(rows).toHaveLength(4);
  });

  test("the table names limits and precision, and shortens what the context cannot hold", async () => {
    const { stdout, exitCode } = await bitnet([...quick, "-p", "512", "-n", "0"]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/\| +test \|/);
    expect(stdout).toContain("| pp255 |");
    expect(stdout).toContain("% int8 |");
    expect(stdout).toContain("limits measured between, 1 threads: memory ");
    expect(stdout).toContain("fast: head int8, cache f16");
  });

  test("--tune keeps what it found", async () => {
    const env = { BITNET_HOME: folder };
    const tuned = await bitnet(["bench", "-p", "16", "-n", "4", "-r", "1", "--tune"], { env });
    expect(tuned.exitCode).toBe(0);
    expect(tuned.stderr).toContain("kept for every load");
    expect(existsSync(join(folder, "tuning.json"))).toBe(true);
  });

  test("refuses lists that are none, and nothing to measure", async () => {
    const refused = await bitnet(["bench", "-p", "many"]);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain("--prompt: expected whole numbers with commas between");
    const nothing = await bitnet(["bench", "-p", "0", "-n", "0"]);
    expect(nothing.stderr).toContain("code: engine/invalid-option");
  });

  test("Ctrl-C ends it with 130 and no table", async () => {
    const child = startBitnet(["bench", "-r", "100000", "-p", "64", "-n", "16"]);
    child.stdin.end();
    const ended = Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    await Bun.sleep(1500);
    child.kill("SIGINT");
    const [stdout, , code] = await ended;
    expect(code).toBe(130);
    expect(stdout).toBe("");
  });
});
