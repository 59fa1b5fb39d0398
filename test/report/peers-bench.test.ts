/** The command line of bench/peers.ts: what it prints is read by other programs. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { coreInfo } from "../../src/native/index.ts";

const bench = join(import.meta.dir, "..", "..", "bench", "peers.ts");
const folder = mkdtempSync(join(tmpdir(), "peers-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("bench/peers.ts --smoke measures ours alone on a file that it writes, and says so", async () => {
  const { code, stdout } = await runBench("--smoke", "--json", "--threads", "1");
  expect(code).toBe(0);
  const result = JSON.parse(stdout);
  expect(result.note).toContain("node-llama-cpp is not measured");
  const [{ model, type, loads, rows, readBytesPerSecond }] = result.results;
  expect({ model, type }).toEqual({ model: "smoke", type: "TQ2_0" });
  expect(readBytesPerSecond["1"].median).toBeGreaterThan(0);
  expect(loads).toHaveLength(1);
  expect(loads[0].loadSeconds.median).toBeGreaterThan(0);
  const [{ engine, threads, prefill, decode }] = rows;
  expect({ engine, threads }).toEqual({ engine: "bitnet-bun", threads: 1 });
  for (const size of ["128", "512"]) expect(prefill[size].median).toBeGreaterThan(0);
  for (const depth of ["0", "2048"]) expect(decode[depth].median).toBeGreaterThan(0);
  expect(readdirSync(folder)).toEqual(["random-smoke-TQ2_0.gguf"]);
});

test("bench/peers.ts --isa avx2 measures that level, beside what it can reach", async () => {
  const { isa, isaLevels } = coreInfo();
  const isApart = isaLevels.includes("avx2") && isa !== "avx2";
  const only = ["--smoke", "--json", "--threads", "1", "--isa", "avx2", "--what", "prefill"];
  const { stdout } = await runBench(...only);
  const [{ rows, loads, avx2OpsPerSecond }] = JSON.parse(stdout).results;
  expect(loads).toEqual([]);
  expect(rows.map(({ engine }: { engine: string }) => engine)).toEqual([
    isApart ? "bitnet-bun, AVX2" : "bitnet-bun",
  ]);
  expect(rows[0].prefill["128"].median).toBeGreaterThan(0);
  expect(rows[0].decode).toEqual({});
  expect(Object.keys(avx2OpsPerSecond)).toEqual(isApart ? ["1"] : []);
});

test("bench/peers.ts: options that make no sense are refused in one sentence", async () => {
  const { code, stderr } = await runBench("--type", "Q4_0");
  expect(code).toBe(2);
  expect(stderr.trim()).toBe("--type: want TQ2_0 or TQ1_0, got Q4_0");
});

async function runBench(...args: string[]) {
  const child = Bun.spawn([process.execPath, bench, "--folder", folder, ...args], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr };
}
