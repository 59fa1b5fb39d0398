/** What a pool's owner lets it free: asked before its limit refuses, gone with the pool. */
import { describe, expect, test } from "bun:test";
import {
  HybridMemoryPool,
  type MemoryBlock,
  type Reclaimable,
  ReclaimPriority,
  reclaimers,
} from "../../src/memory/index.ts";

const MiB = 1 << 20;

/** A cache of blocks that may be freed at any time. */
function cacheIn(pool: HybridMemoryPool, count: number): { blocks: MemoryBlock[] } {
  const blocks = Array.from({ length: count }, () => pool.allocate(MiB, { tag: "cache" }));
  pool.reclaimable(() =>
    blocks.map((block): Reclaimable => {
      return {
        name: "a cached block",
        device: "cpu",
        priority: ReclaimPriority.computed,
        bytes: block.size,
        usedAt: 0,
        costSeconds: 5,
        reuseCount: 0,
        reclaim() {
          blocks.splice(blocks.indexOf(block), 1);
          block.free();
          return block.size;
        },
      };
    }),
  );
  return { blocks };
}

describe("what a pool's owner named as reclaimable", () => {
  test("goes as far as it must before the limit refuses, and the limit says why after that", () => {
    using pool = new HybridMemoryPool({ maxBytes: 16 * MiB });
    const { blocks } = cacheIn(pool, 10);
    const first = pool.allocate(8 * MiB, { tag: "work" });
    expect(blocks.length).toBeLessThan(10);
    expect(blocks.length).toBeGreaterThan(4);
    expect(() => pool.allocate(12 * MiB)).toThrow("work 8.0MiB in 1");
    expect(blocks).toEqual([]);
    first.free();
    pool.allocate(12 * MiB).free();
  });

  test("may allocate while it is asked, without being asked for that", () => {
    using pool = new HybridMemoryPool({ maxBytes: 8 * MiB });
    pool.allocate(4 * MiB, { tag: "work" });
    let asked = 0;
    pool.reclaimable(() => {
      asked += 1;
      expect(() => pool.allocate(7 * MiB)).toThrow("work");
      return [];
    });
    expect(() => pool.allocate(7 * MiB)).toThrow("work");
    expect(asked).toBe(1);
  });

  test("is not given up for what could never fit", () => {
    using pool = new HybridMemoryPool({ maxBytes: 8 * MiB });
    const { blocks } = cacheIn(pool, 3);
    expect(() => pool.allocate(9 * MiB)).toThrow("cache 3.0MiB in 3");
    expect(blocks.length).toBe(3);
  });

  test("is on the process's list too, until the pool closes", () => {
    const before = reclaimers.items(true).length;
    const pool = new HybridMemoryPool();
    cacheIn(pool, 3);
    expect(reclaimers.items(true).length).toBe(before + 3);
    pool.on("leak", () => {});
    pool.close();
    expect(reclaimers.items(true).length).toBe(before);
    expect(() => pool.reclaimable(() => [])).toThrow("is closed");
  });
});
