/** Blocks and their views: nothing is copied, and nothing is reached after a free. */
import { describe, expect, test } from "bun:test";
import { HybridMemoryPool } from "../../src/memory/index.ts";
import { allowAlive } from "../leaks.ts";

describe("views", () => {
  test("of every type lie over the same bytes, at offsets and lengths", () => {
    using pool = new HybridMemoryPool();
    using block = pool.allocate(64, { zeroed: true });
    block.view(Float32Array, 16, 2).set([1, -2]);
    expect([...block.bytes(16, 8)]).toEqual([0, 0, 128, 63, 0, 0, 0, 192]);
    expect(block.view(Int32Array).length).toBe(16);
    expect(block.view(BigInt64Array, 56)[0]).toBe(0n);
    block.view(Uint16Array, 62)[0] = 0x1234;
    expect(block.bytes(62)).toEqual(Uint8Array.of(0x34, 0x12));
    expect(block.view(Float64Array, 64, 0).length).toBe(0);
  });

  test("have as many whole elements as fit", () => {
    using pool = new HybridMemoryPool();
    using block = pool.allocate(30);
    expect(block.view(Float64Array).length).toBe(3);
    expect(block.view(Float32Array, 28).length).toBe(0);
    expect(block.bytes(30).length).toBe(0);
  });

  test("beyond the block or between elements are refused", () => {
    using pool = new HybridMemoryPool();
    using block = pool.allocate(64);
    const refused = [
      () => block.bytes(65),
      () => block.bytes(-1),
      () => block.bytes(0, 65),
      () => block.bytes(0.5),
      () => block.bytes(0, Number.NaN),
      () => block.view(Float32Array, 0, 17),
      () => block.view(Float32Array, 0, -1),
      () => block.view(Float32Array, 2, 1),
      () => block.view(Float64Array, 4),
    ];
    for (const refuse of refused) {
      expect(refuse).toThrow(expect.objectContaining({ code: "memory/invalid-range" }));
    }
  });

  test("are empty once the block is freed, and new ones are refused", () => {
    using pool = new HybridMemoryPool();
    const block = pool.allocate(64);
    const bytes = block.bytes();
    const floats = block.view(Float32Array, 16, 4);
    block[Symbol.dispose]();
    block[Symbol.dispose]();
    expect([bytes.length, floats.length, block.disposed]).toEqual([0, 0, true]);
    expect(bytes[0]).toBeUndefined();
    expect(() => block.bytes()).toThrow(expect.objectContaining({ code: "memory/disposed" }));
    expect(() => block.address).toThrow("after it was freed");
  });

  test("that are transferred away keep their memory from being freed under the receiver", () => {
    const pool = new HybridMemoryPool();
    allowAlive(pool);
    const block = pool.allocate(64);
    const moved = structuredClone(block.bytes(), { transfer: [block.bytes().buffer] });
    const transferred = expect.objectContaining({ code: "memory/transferred" });
    expect(() => block[Symbol.dispose]()).toThrow(transferred);
    expect(() => pool.close()).toThrow(transferred);
    moved.fill(3);
    expect(pool.metrics().blocks).toBe(1);
  });
});

test("freeing twice, or a block of another pool, is an error; its history is told in debug mode", () => {
  using pool = new HybridMemoryPool({ debug: true, name: "first" });
  using other = new HybridMemoryPool({ name: "second" });
  const block = pool.allocate(100, { tag: "samples" });
  expect(() => other.free(block)).toThrow(
    expect.objectContaining({
      code: "memory/foreign-block",
      message: 'want a block of pool "second" to free, got one of pool "first"',
    }),
  );
  pool.free(block);
  expect(() => pool.free(block)).toThrow(
    expect.objectContaining({
      code: "memory/double-free",
      message: expect.stringMatching(
        /freed, 100 bytes \(samples\).*by test\/memory\/block.test.ts/,
      ),
    }),
  );
  expect(() => block.bytes()).toThrow(/freed, 100 bytes/);
});
