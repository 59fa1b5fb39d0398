/** Blocks that Programs are bound to: written to natively, seen in views, kept while a run goes. */
import { describe, expect, test } from "bun:test";
import { HybridMemoryPool } from "../../src/memory/index.ts";
import { countingInputs, countingProgram, countOf, endless } from "../native/counting.ts";

describe("a block as a region", () => {
  test("is written to by a Program and seen in its views, without a copy", async () => {
    using program = countingProgram();
    using pool = new HybridMemoryPool();
    using block = pool.allocate(64, { align: 64, zeroed: true });
    const counts = block.view(Int32Array);
    const region = block.region();
    expect(block.region()).toBe(region);
    await program.submit({ inputs: countingInputs, regions: { count: region }, steps: 7 });
    expect([...counts]).toEqual(new Array(16).fill(7));
    expect(countOf(region)).toBe(7);
    counts.fill(100);
    program.now({ inputs: countingInputs, regions: { count: region }, steps: 1 });
    expect(counts[15]).toBe(101);
  });

  test("is not freed under a run, though its views are empty at once", async () => {
    using program = countingProgram();
    using pool = new HybridMemoryPool({ level: "standard" });
    const block = pool.allocate(1 << 16, { align: 64, zeroed: true });
    const counts = block.view(Int32Array);
    const abort = new AbortController();
    const run = program.submit({
      inputs: countingInputs,
      regions: { count: block.region() },
      steps: endless,
      signal: abort.signal,
    });
    block[Symbol.dispose]();
    expect([counts.length, block.disposed]).toEqual([0, true]);
    expect(() => block.region()).toThrow(expect.objectContaining({ code: "memory/disposed" }));
    expect(pool.metrics().blocks).toBe(1);
    // What comes next must not get the same memory.
    using other = pool.allocate(1 << 16, { zeroed: true });
    await Bun.sleep(5);
    expect(Buffer.compare(other.bytes(), new Uint8Array(1 << 16))).toBe(0);
    abort.abort();
    await expect(run).rejects.toMatchObject({ code: "native/aborted" });
    expect(pool.metrics().blocks).toBe(1);
    other[Symbol.dispose]();
    expect(pool.metrics()).toMatchObject({ used: 0, blocks: 0 });
  });

  test("keeps its pool until the run has ended, when that is closed in the middle", async () => {
    using program = countingProgram();
    const pool = new HybridMemoryPool();
    const shared = pool.share();
    const block = pool.allocate(64, { align: 64, zeroed: true });
    const region = block.region();
    const abort = new AbortController();
    const run = program.submit({
      inputs: countingInputs,
      regions: { count: region },
      steps: endless,
      signal: abort.signal,
    });
    expect(pool.close().count).toBe(1);
    expect(region.disposed).toBe(true);
    HybridMemoryPool.open(shared).close();
    await Bun.sleep(5);
    abort.abort();
    await expect(run).rejects.toMatchObject({ code: "native/aborted" });
    expect(() => HybridMemoryPool.open(shared)).toThrow("closed before");
  });

  test("ends with the region, when that is what is disposed of", () => {
    using pool = new HybridMemoryPool({ debug: true });
    using scope = pool.scope();
    const block = pool.allocate(256, { align: 256 });
    const bytes = block.bytes();
    block.region()[Symbol.dispose]();
    expect([block.disposed, bytes.length, scope.size]).toEqual([true, 0, 0]);
    block[Symbol.dispose]();
    expect(() => pool.free(block)).toThrow(expect.objectContaining({ code: "memory/double-free" }));
    expect(pool.metrics()).toMatchObject({ blocks: 0, faults: 0 });
  });

  test("stays while one of its views is in use, though nobody has block, region or pool", async () => {
    const views = Array.from({ length: 50 }, (_, index) => {
      const pool = new HybridMemoryPool();
      const block = pool.allocate(4096, { align: 64 });
      block.region();
      return block.bytes().fill(index);
    });
    for (let round = 0; round < 5; round += 1) {
      Bun.gc(true);
      await Bun.sleep(1);
    }
    for (const [index, view] of views.entries()) {
      expect(view.every((byte) => byte === index)).toBe(true);
    }
  });

  test("is refused for one that is not aligned to 64", () => {
    using pool = new HybridMemoryPool();
    const blocks = [1, 2, 3, 4].map(() => pool.allocate(16));
    const unaligned = blocks.find(({ address }) => address % 64 !== 0)!;
    expect(() => unaligned.region()).toThrow(
      expect.objectContaining({
        code: "memory/invalid-option",
        message: expect.stringContaining("align: 64"),
      }),
    );
  });
});

describe("the engine's pool", () => {
  test("shows what regions hold, and lends blocks like any other", () => {
    const { engine } = HybridMemoryPool;
    expect(HybridMemoryPool.engine).toBe(engine);
    const before = engine.metrics();
    const block = engine.allocate(5 << 20, { tag: "own" });
    expect(engine.metrics().used - before.used).toBeGreaterThanOrEqual(5 << 20);
    expect(engine.report().tags).toContainEqual(
      expect.objectContaining({ tag: "own", used: 5 << 20, blocks: 1 }),
    );
    block[Symbol.dispose]();
    expect(engine.name).toBe("engine");
  });

  test("is not closed", () => {
    const { engine } = HybridMemoryPool;
    expect(() => engine.close()).toThrow(
      expect.objectContaining({ code: "memory/invalid-option" }),
    );
    engine[Symbol.dispose]();
    expect(engine.closed).toBe(false);
    using block = engine.allocate(10);
    expect(block.size).toBe(10);
  });
});
