/** One pool in several threads: it lives until the last of them is done with it. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { HybridMemoryPool } from "../../src/memory/index.ts";
import type { PoolAnswer, PoolOrder } from "./pool-worker.ts";

function start(): { worker: Worker; ask: (order: PoolOrder) => Promise<PoolAnswer> } {
  const worker = new Worker(join(import.meta.dir, "pool-worker.ts"));
  const ask = (order: PoolOrder): Promise<PoolAnswer> =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<PoolAnswer>) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(order);
    });
  return { worker, ask };
}

test("threads allocate from one pool at once, and each sees what all hold", async () => {
  using pool = new HybridMemoryPool({ name: "shared" });
  const shared = pool.share();
  using own = pool.allocate(500);
  const workers = [start(), start(), start()];
  await Promise.all(workers.map(({ ask }) => ask({ shared, blocks: 100 })));
  expect(pool.metrics()).toMatchObject({ used: 500 + 3 * 50 * 1000, blocks: 151, threads: 4 });
  for (const { worker } of workers) worker.terminate();
  expect(own.bytes().length).toBe(500);
});

test("a pool goes on for the threads that have it after the first has closed it", async () => {
  const pool = new HybridMemoryPool();
  const shared = pool.share();
  const { worker, ask } = start();
  await ask({ shared, blocks: 10 });
  pool.close();
  expect(await ask({ shared, blocks: 10 })).toEqual({ used: 10_000, closed: false, error: "" });
  expect(await ask({ shared, blocks: 0 })).toMatchObject({ closed: true, error: "" });
  expect(() => HybridMemoryPool.open(shared)).toThrow(
    expect.objectContaining({ code: "memory/disposed" }),
  );
  worker.terminate();
});

test("a Worker that is terminated lets go of its pool", async () => {
  const pool = new HybridMemoryPool();
  const shared = pool.share();
  const { worker, ask } = start();
  await ask({ shared, blocks: 10 });
  pool.close();
  const closed = new Promise((resolve) => worker.addEventListener("close", resolve));
  worker.terminate();
  await closed;
  const isGone = (): boolean => {
    try {
      HybridMemoryPool.open(shared).close();
      return false;
    } catch {
      return true;
    }
  };
  for (let left = 200; left > 0 && !isGone(); left -= 1) await Bun.sleep(5);
  expect(isGone()).toBe(true);
});

test("a pool that was closed before a Worker opens it is refused there", async () => {
  const pool = new HybridMemoryPool();
  const shared = pool.share();
  pool.close();
  const { worker, ask } = start();
  expect(await ask({ shared, blocks: 1 })).toMatchObject({ error: "memory/disposed" });
  worker.terminate();
});
