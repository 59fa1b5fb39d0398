/** Debug mode: what goes wrong with a block is an error that tells the block's history. */
import { toArrayBuffer } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { HybridMemoryPool, type MemoryBlock } from "../../src/memory/index.ts";
import { NativePool } from "../../src/native/index.ts";

/** Writes where native code with a wrong length would, from byte `offset` of the block on. */
function writeAround(address: number, offset: number): void {
  const past = new Uint8Array(toArrayBuffer((address + offset) as never, 0, 1));
  past[0] = past[0]! ^ 0xff;
}

function nativePool(debug: boolean): NativePool {
  return NativePool.create({ sizeMax: 0, level: "basic", debug, hugePages: true });
}

describe("in debug mode", () => {
  for (const [place, offset] of Object.entries({ before: -1, after: 100 })) {
    test(`a write just ${place} a block is found when it is validated and when it is freed`, () => {
      using pool = new HybridMemoryPool({ debug: true });
      const blocks = [1, 2, 3].map(() => pool.allocate(100, { tag: "samples" }));
      writeAround(blocks[1]!.address, offset);
      expect(pool.validate()).toBe(1);
      blocks[0]![Symbol.dispose]();
      expect(() => blocks[1]![Symbol.dispose]()).toThrow(
        expect.objectContaining({
          code: "memory/guard-damaged",
          message: expect.stringMatching(/100 bytes \(samples\).*damage\.test\.ts/),
        }),
      );
      expect(blocks[1]!.disposed).toBe(true);
      blocks[2]![Symbol.dispose]();
      const { faults, metrics } = pool.report();
      expect(metrics).toMatchObject({ blocks: 0, faults: 2 });
      expect(faults.map(({ kind }) => kind)).toEqual(
        new Array(2).fill(place === "before" ? "written_before_start" : "written_past_end"),
      );
      expect(String(pool.report())).toContain("fault: written");
    });
  }

  test("a scope frees the rest when one of its blocks is damaged, then throws", () => {
    using pool = new HybridMemoryPool({ debug: true });
    const scope = pool.scope();
    const blocks = [1, 2, 3].map((): MemoryBlock => pool.allocate(100));
    writeAround(blocks[1]!.address, 100);
    expect(() => scope[Symbol.dispose]()).toThrow(
      expect.objectContaining({ code: "memory/guard-damaged" }),
    );
    expect(pool.metrics().blocks).toBe(0);
  });

  test("a late write to a freed block is found once its memory is to be used again", () => {
    using pool = new HybridMemoryPool({ debug: true });
    const block = pool.allocate(100);
    const { address } = block;
    block[Symbol.dispose]();
    writeAround(address, 50);
    pool.trim();
    expect(pool.report().faults).toMatchObject([{ kind: "written_after_free", address }]);
  });

  test("natively too, a second free, another's address and a wrong size are told apart", () => {
    const pool = nativePool(true);
    const address = pool.allocate(100, 4 << 8, 0);
    const code = (work: () => void): unknown => {
      try {
        work();
      } catch (error) {
        return (error as { code: unknown }).code;
      }
      return undefined;
    };
    expect(code(() => pool.free(address, 64, 0))).toBe("memory/foreign-block");
    expect(code(() => pool.free(address + 16, 100, 0))).toBe("memory/foreign-block");
    expect(code(() => pool.free(address, 100, 0))).toBeUndefined();
    expect(code(() => pool.free(address, 100, 0))).toBe("memory/double-free");
    expect(code(() => pool.free(Number.NaN, 100, 0))).toBe("native/invalid-argument");
    expect(pool.explain(address)).toContain("freed, 100 bytes (untagged)");
    pool.release();
  });
});

test("without debug mode nothing is looked at, and nothing is kept", () => {
  using pool = new HybridMemoryPool();
  using block = pool.allocate(100);
  expect(pool.validate()).toBe(0);
  const { faults, timeline } = pool.report();
  expect([faults, timeline]).toEqual([[], null]);
  const native = nativePool(false);
  expect(native.explain(block.address)).toContain("it keeps no records");
  native.release();
});
