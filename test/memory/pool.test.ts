/** Pools as people use them: allocating, tags, limits, closing, and what is refused. */
import { describe, expect, test } from "bun:test";
import { BitNetError } from "../../src/errors/index.ts";
import { HybridMemoryPool, type LiveReport, type MemoryBlock } from "../../src/memory/index.ts";

/** The code of what `work` throws; the message has to hold `part`. */
function codeOf(work: () => unknown, part = ""): string {
  try {
    work();
  } catch (error) {
    if (!(error instanceof BitNetError)) throw error;
    expect(error.message).toContain(part);
    return error.code;
  }
  return "nothing was thrown";
}

describe("allocating", () => {
  test("gives writable memory of every size, aligned as asked for, that others leave alone", () => {
    using pool = new HybridMemoryPool();
    const blocks: MemoryBlock[] = [];
    for (const bytes of [1, 15, 16, 100, 4096, 1 << 20, (1 << 20) + 1, 3 << 20, 70 << 20]) {
      for (const align of [1, 16, 64, 4096, 65536]) {
        const block = pool.allocate(bytes, { align });
        expect(block.address % align).toBe(0);
        expect(block.size).toBe(bytes);
        const view = block.bytes();
        view[0] = blocks.length;
        view[bytes - 1] = blocks.length;
        blocks.push(block);
      }
    }
    for (const [index, block] of blocks.entries()) {
      expect([block.bytes()[0], block.bytes().at(-1)]).toEqual([index, index]);
    }
    for (const block of blocks) pool.free(block);
    expect(pool.metrics()).toMatchObject({ used: 0, blocks: 0, allocations: 45, frees: 45 });
  });

  test("zeroed memory reads zero, also where something was before", () => {
    using pool = new HybridMemoryPool();
    for (const bytes of [100, 5000, 300_000, 2 << 20, 9 << 20]) {
      for (let round = 0; round < 3; round += 1) {
        using block = pool.allocate(bytes, { zeroed: true });
        expect(Buffer.compare(block.bytes(), new Uint8Array(bytes))).toBe(0);
        block.bytes().fill(255);
      }
    }
  });

  test("sizes and options that are none are refused before anything is allocated", () => {
    using pool = new HybridMemoryPool();
    for (const bytes of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(codeOf(() => pool.allocate(bytes), String(bytes))).toBe("memory/invalid-option");
    }
    expect(codeOf(() => pool.allocate("10" as never))).toBe("memory/invalid-option");
    for (const align of [0, -16, 24, 1.5, Number.NaN, 131_072, 2 ** 32]) {
      expect(codeOf(() => pool.allocate(8, { align }), "power of two")).toBe(
        "memory/invalid-option",
      );
    }
    expect(codeOf(() => pool.allocate(8, { tag: 7 as never }))).toBe("memory/invalid-option");
    expect(codeOf(() => pool.allocate(8, { label: {} as never }))).toBe("memory/invalid-option");
    expect(pool.metrics().allocations).toBe(0);
  });

  test("more than any system has is refused and leaves the pool whole", () => {
    using pool = new HybridMemoryPool();
    expect(codeOf(() => pool.allocate(2 ** 47), "allocating")).toBe("native/out-of-memory");
    expect(pool.metrics()).toMatchObject({ blocks: 0, refusals: 1 });
    using block = pool.allocate(10);
    expect(block.bytes().length).toBe(10);
  });

  test("of what is freed as much is kept as idleBytesMax says", () => {
    const keptAfter = (idleBytesMax: number): number => {
      using pool = new HybridMemoryPool({ idleBytesMax });
      const block = pool.allocate(8 << 20);
      block.bytes().fill(1);
      block[Symbol.dispose]();
      return pool.metrics().idle;
    };
    expect(keptAfter(0)).toBe(0);
    expect(keptAfter(64 << 20)).toBe(8 << 20);
  });

  test("a limit refuses with the names of those who hold it, and gives way once they free", () => {
    using pool = new HybridMemoryPool({ maxBytes: 16 << 20 });
    const weights = pool.allocate(10 << 20, { tag: "weights" });
    const refused = () => pool.allocate(8 << 20, { tag: "cache" });
    expect(codeOf(refused, "weights 10.0MiB in 1")).toBe("memory/limit-reached");
    weights[Symbol.dispose]();
    using cache = refused();
    expect(cache.size).toBe(8 << 20);
    expect(pool.metrics()).toMatchObject({ maxBytes: 16 << 20, refusals: 1, blocks: 1 });
  });

  test("a pool knows 63 tags and says so", () => {
    using pool = new HybridMemoryPool();
    for (let tag = 1; tag <= 63; tag += 1) pool.allocate(16, { tag: `tag ${tag}` });
    expect(codeOf(() => pool.allocate(16, { tag: "one more" }), "no more names")).toBe(
      "native/invalid-argument",
    );
    using again = pool.allocate(16, { tag: "tag 63" });
    expect(again.size).toBe(16);
    expect(pool.live().tags.find(({ tag }) => tag === "tag 63")?.blocks).toBe(2);
  });
});

describe("options of a pool", () => {
  const refused: Record<string, unknown>[] = [
    { maxBytes: 0 },
    { idleBytesMax: -1 },
    { idleBytesMax: Number.POSITIVE_INFINITY },
    { maxBytes: -5 },
    { maxBytes: 1.5 },
    { maxBytes: Number.NaN },
    { level: "verbose" },
    { level: "toString" },
    { debug: "yes" },
    { hugePages: 1 },
    { name: "" },
  ];
  for (const options of refused) {
    test(`${JSON.stringify(options)} is refused`, () => {
      expect(codeOf(() => new HybridMemoryPool(options))).toBe("memory/invalid-option");
    });
  }

  test("pools without huge pages work the same", () => {
    using pool = new HybridMemoryPool({ hugePages: false, level: "none", name: "plain" });
    using block = pool.allocate(4 << 20, { zeroed: true });
    expect(Buffer.compare(block.bytes(), new Uint8Array(4 << 20))).toBe(0);
    expect([pool.name, pool.level, block.pool]).toEqual(["plain", "none", "plain"]);
  });
});

describe("closing", () => {
  test("frees what is alive, empties its views, and tells of it with age and origin", () => {
    const pool = new HybridMemoryPool({ level: "detailed", name: "leaky" });
    const kept = pool.allocate(5000, { tag: "samples" });
    pool.allocate(200, { label: "by hand" });
    pool.allocate(10)[Symbol.dispose]();
    const view = kept.view(Float64Array);
    const heard: LiveReport[] = [];
    pool.on("leak", (report) => heard.push(report));
    const report = pool.close();
    expect(heard).toEqual([report]);
    expect([report.pool, report.count, report.bytes]).toEqual(["leaky", 2, 5200]);
    expect(report.blocks[0]).toMatchObject({ bytes: 5000, tag: "samples" });
    expect(report.blocks[0]!.label).toMatch(/^test\/memory\/pool\.test\.ts:\d+:\d+/);
    expect(report.blocks[1]).toMatchObject({ bytes: 200, tag: "", label: "by hand" });
    expect(report.blocks[0]!.ageSeconds).toBeLessThan(60);
    expect(String(report)).toContain('pool "leaky": 2 blocks alive, 5.1 KiB');
    expect(view.length).toBe(0);
    expect(kept.disposed).toBe(true);
    kept[Symbol.dispose]();
  });

  test("without tracking it still tells how many blocks of which tag were alive", () => {
    const pool = new HybridMemoryPool();
    pool.allocate(100, { tag: "a" });
    pool.allocate(300, { tag: "b" });
    const report = pool.close();
    expect(report.blocks).toEqual([]);
    expect(report.tags).toEqual([
      { tag: "b", blocks: 1, used: 300 },
      { tag: "a", blocks: 1, used: 100 },
    ]);
  });

  test("ends every use of the pool and its blocks, and twice is harmless", () => {
    const pool = new HybridMemoryPool();
    const block = pool.allocate(100);
    pool[Symbol.dispose]();
    pool[Symbol.dispose]();
    const uses = [
      () => pool.allocate(1),
      () => pool.free(block),
      () => pool.metrics(),
      () => pool.live(),
      () => pool.scope(),
      () => pool.share(),
      () => pool.trim(),
      () => pool.validate(),
      () => pool.close(),
      () => block.bytes(),
      () => block.address,
    ];
    for (const use of uses) expect(codeOf(use)).toBe("memory/disposed");
  });

  test("a pool that is forgotten is collected, but not while a view is in use", async () => {
    const open = (): Uint8Array => {
      const pool = new HybridMemoryPool();
      return pool.allocate(4096, { zeroed: true }).bytes();
    };
    for (let round = 0; round < 1500; round += 1) open();
    const view = open();
    for (let round = 0; round < 5; round += 1) {
      Bun.gc(true);
      await Bun.sleep(1);
    }
    // 1024 pools are the most there are: without collection one of these is refused.
    for (let round = 0; round < 200; round += 1) open();
    view.fill(7);
    expect(view.every((byte) => byte === 7)).toBe(true);
  });
});
