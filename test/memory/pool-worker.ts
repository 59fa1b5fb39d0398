/** A Worker of workers.test.ts: allocates from the pool it is sent, and says what it saw. */
import { HybridMemoryPool, type SharedPool } from "../../src/memory/index.ts";

declare const self: Worker;

export interface PoolOrder {
  shared: SharedPool;
  blocks: number;
}

export interface PoolAnswer {
  used: number;
  closed: boolean;
  error: string;
}

let pool: HybridMemoryPool | undefined;

self.onmessage = ({ data: { shared, blocks } }: MessageEvent<PoolOrder>) => {
  try {
    pool ??= HybridMemoryPool.open(shared);
    for (let index = 0; index < blocks; index += 1) {
      const block = pool.allocate(1000, { tag: "worker", zeroed: true });
      block.bytes().fill(index);
      if (index % 2 === 0) block[Symbol.dispose]();
    }
    const { used } = pool.metrics();
    if (blocks === 0) pool.close();
    self.postMessage({ used, closed: pool.closed, error: "" } satisfies PoolAnswer);
  } catch (error) {
    const { code } = error as { code: string };
    self.postMessage({ used: 0, closed: true, error: code } satisfies PoolAnswer);
  }
};
