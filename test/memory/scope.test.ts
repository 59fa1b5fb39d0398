/** Scopes free what was allocated inside, in every way that code leaves them. */
import { expect, test } from "bun:test";
import { HybridMemoryPool, type MemoryBlock } from "../../src/memory/index.ts";

test("a scope frees what is allocated while it is the innermost, and nothing else", () => {
  using pool = new HybridMemoryPool();
  const before = pool.allocate(10);
  const inside: MemoryBlock[] = [];
  {
    using outer = pool.scope();
    inside.push(pool.allocate(20));
    {
      using inner = pool.scope();
      inside.push(pool.allocate(30), outer.allocate(40));
      expect([inner.size, outer.size]).toEqual([1, 2]);
    }
    expect(inside.map(({ disposed }) => disposed)).toEqual([false, true, false]);
    inside[0]![Symbol.dispose]();
    expect(outer.size).toBe(1);
  }
  expect(inside.every(({ disposed }) => disposed)).toBe(true);
  expect(before.disposed).toBe(false);
  expect(pool.metrics().used).toBe(10);
});

test("a scope ends with an exception too", () => {
  using pool = new HybridMemoryPool();
  expect(() => {
    using _ = pool.scope();
    pool.allocate(100);
    throw new Error("on purpose");
  }).toThrow("on purpose");
  expect(pool.metrics().blocks).toBe(0);
});

test("what a scope keeps goes to the scope around it, and from the outermost to nobody", () => {
  using pool = new HybridMemoryPool();
  let block: MemoryBlock;
  {
    using outer = pool.scope();
    {
      using inner = pool.scope();
      block = inner.keep(pool.allocate(100));
    }
    expect(block.disposed).toBe(false);
    expect(outer.size).toBe(1);
    outer.keep(block);
  }
  expect(block.disposed).toBe(false);
  block[Symbol.dispose]();
  expect(pool.metrics().blocks).toBe(0);
});

test("a scope that captures nothing owns only what is allocated by itself", async () => {
  using pool = new HybridMemoryPool();
  const tasks = [1, 2, 3].map(async (size) => {
    using scope = pool.scope({ captures: false });
    const own = scope.allocate(size * 100);
    await Bun.sleep(size);
    expect([own.disposed, scope.size]).toEqual([false, 1]);
  });
  const free = pool.allocate(7);
  await Promise.all(tasks);
  expect(free.disposed).toBe(false);
  expect(pool.metrics()).toMatchObject({ used: 7, blocks: 1 });
});

test("scopes that end out of order free their own", () => {
  using pool = new HybridMemoryPool();
  const outer = pool.scope();
  const first = pool.allocate(1);
  const inner = pool.scope();
  const second = pool.allocate(2);
  outer[Symbol.dispose]();
  expect([first.disposed, second.disposed]).toEqual([true, false]);
  const third = pool.allocate(3);
  inner[Symbol.dispose]();
  expect([second.disposed, third.disposed]).toEqual([true, true]);
  using last = pool.allocate(4);
  expect(last.disposed).toBe(false);
});

test("a scope refuses blocks of others, and any use after its end", () => {
  using pool = new HybridMemoryPool();
  const foreign = pool.allocate(1);
  const scope = pool.scope();
  expect(() => scope.keep(foreign)).toThrow(
    expect.objectContaining({ code: "memory/foreign-block" }),
  );
  scope[Symbol.dispose]();
  scope[Symbol.dispose]();
  const disposed = expect.objectContaining({ code: "memory/disposed" });
  expect(() => scope.allocate(1)).toThrow(disposed);
  expect(() => scope.keep(foreign)).toThrow(disposed);
});
