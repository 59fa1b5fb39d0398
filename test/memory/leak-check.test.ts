/** What LeakCheck finds, what it lets pass, and that it fails a test file here. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HybridMemoryPool, LeakCheck } from "../../src/memory/index.ts";
import { Region } from "../../src/native/index.ts";
import { allowAlive } from "../leaks.ts";

const kept = new HybridMemoryPool({ name: "kept" });
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(import.meta.dir, "leaks-"));
  // A fixture that lives as long as the process.
  kept.allocate(100);
  allowAlive(kept);
});

afterAll(() => rmSync(folder, { recursive: true }));

test("blocks that came and stayed are found, with where they came from", async () => {
  using pool = new HybridMemoryPool({ level: "detailed", name: "leaky" });
  const before = pool.allocate(50, { tag: "a" });
  const check = new LeakCheck();
  using first = pool.allocate(1000, { tag: "a" });
  using _ = pool.allocate(24, { tag: "b" });
  const leaks = await check.find();
  expect(leaks.map(({ pool: name, tag, blocks, bytes }) => [name, tag, blocks, bytes])).toEqual([
    ["leaky", "a", 1, 1000],
    ["leaky", "b", 1, 24],
  ]);
  expect(String(leaks[0])).toMatch(
    /^pool "leaky" holds 1 blocks more than before, 1000 B \(a\)\n {2}1000 B, .* old, from test\//,
  );
  first[Symbol.dispose]();
  before[Symbol.dispose]();
  expect((await check.find()).map(({ tag }) => tag)).toEqual(["b"]);
  expect(await check.find({ allow: ["b"] })).toEqual([]);
  expect(await check.find({ allow: [pool] })).toEqual([]);
});

test("regions of the engine that are held are found, forgotten ones are collected first", async () => {
  const check = new LeakCheck();
  const region = Region.create(1 << 20, { tag: "staging" });
  for (let index = 0; index < 10; index += 1) Region.create(1000, { tag: "tensor" });
  const leaks = await check.find();
  expect(leaks).toMatchObject([{ pool: "engine", tag: "staging", blocks: 1, bytes: 1 << 20 }]);
  region[Symbol.dispose]();
  expect(await check.find()).toEqual([]);
});

test("pools made since are looked at as well, and forgotten ones are gone", async () => {
  const check = new LeakCheck();
  using pool = new HybridMemoryPool({ name: "late" });
  pool.allocate(10);
  for (let index = 0; index < 200; index += 1) new HybridMemoryPool().allocate(10);
  expect((await check.find()).map(({ pool: name }) => name)).toEqual(["late"]);
});

/** How a file of these lines ends under the preload of this house. */
async function endOf(name: string, lines: string[]): Promise<{ code: number; error: string }> {
  const file = join(folder, `${name}.test.ts`);
  const opening = `import { HybridMemoryPool } from "../../../src/memory/index.ts";
    import { afterAll, test } from "bun:test";
    import { allowAlive } from "../../leaks.ts";
    const pool = new HybridMemoryPool({ name: "${name}" });`;
  writeFileSync(file, [opening, ...lines].join("\n"));
  const child = Bun.spawn([process.execPath, "test", file], {
    cwd: join(import.meta.dir, "../.."),
    stdout: "pipe",
    stderr: "pipe",
  });
  const error = await child.stderr.text();
  return { code: await child.exited, error };
}

test("a test file that leaves memory behind fails, unless it frees or allows it", async () => {
  const leaking = `let block; test("it", () => { block = pool.allocate(1234); });`;
  const [leaks, frees, allows] = await Promise.all([
    endOf("leaks", [leaking]),
    endOf("frees", [leaking, "afterAll(() => block[Symbol.dispose]());"]),
    endOf("allows", [leaking, "allowAlive(pool);"]),
  ]);
  expect(leaks.code).toBe(1);
  expect(leaks.error).toContain("this file leaves native memory behind");
  expect(leaks.error).toContain('pool "leaks" holds 1 blocks more than before, 1.2 KiB (untagged)');
  expect([frees.code, allows.code]).toEqual([0, 0]);
}, 30_000);
