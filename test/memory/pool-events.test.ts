/** What a pool tells its listeners, and when it stops. */
import { expect, test } from "bun:test";
import { HybridMemoryPool, type PressureEvent } from "../../src/memory/index.ts";

test("pressure of the pool's own limit is told, with what holds it, and as it eases", async () => {
  using pool = new HybridMemoryPool({ maxBytes: 100 << 20 });
  const block = pool.allocate(98 << 20);
  const events: PressureEvent[] = [];
  const { promise: first, resolve } = Promise.withResolvers<void>();
  using _ = pool.on("pressure", (event) => {
    events.push(event);
    resolve();
  });
  await first;
  expect(events[0]).toMatchObject({
    level: "critical",
    previous: "none",
    cause: "pool",
    reading: { pool: { held: 98 << 20, limit: 100 << 20 } },
  });
  block[Symbol.dispose]();
  for (let left = 100; left > 0 && events.length < 2; left -= 1) await Bun.sleep(20);
  expect(events[1]?.previous).toBe("critical");
});

test("who stopped listening, or closed the pool, is told nothing more", async () => {
  const pool = new HybridMemoryPool({ maxBytes: 10 << 20 });
  pool.allocate(10 << 20);
  let told = 0;
  pool.on("pressure", () => told++)[Symbol.dispose]();
  pool.on("leak", () => told++)[Symbol.dispose]();
  pool.on("pressure", () => told++);
  pool.close();
  await Bun.sleep(20);
  expect(told).toBe(0);
});

test("an event that there is not, and a closed pool, are refused", () => {
  const pool = new HybridMemoryPool();
  expect(() => pool.on("presure" as never, () => {})).toThrow(
    expect.objectContaining({ code: "memory/invalid-option" }),
  );
  pool.close();
  expect(() => pool.on("leak", () => {})).toThrow(
    expect.objectContaining({ code: "memory/disposed" }),
  );
});

test("a report tells of growth that looks like a leak", async () => {
  using pool = new HybridMemoryPool({ level: "standard" });
  using scope = pool.scope();
  for (let step = 0; step < 80; step += 1) {
    pool.allocate(200_000, { tag: "listeners" });
    await Bun.sleep(2);
  }
  expect(scope.size).toBe(80);
  const report = pool.report();
  expect(report.patterns.map(({ kind }) => kind)).toContain("leak");
  expect(String(report)).toMatch(/\d+ % sure: /);
});

test("a tracked pool that is forgotten is told of, one that was closed is not", async () => {
  const warnings: string[] = [];
  const hear = ({ name, message }: Error): void => void warnings.push(`${name}: ${message}`);
  process.on("warning", hear);
  const open = (name: string): void => {
    new HybridMemoryPool({ level: "standard", name }).allocate(10);
    new HybridMemoryPool({ level: "standard", name: "closed" }).close();
    new HybridMemoryPool({ name: "untracked" });
  };
  for (let index = 0; index < 3; index += 1) open("lost");
  for (let left = 100; left > 0 && warnings.length === 0; left -= 1) {
    Bun.gc(true);
    await Bun.sleep(5);
  }
  process.off("warning", hear);
  expect(warnings[0]).toStartWith('MemoryLeak: pool "lost" was forgotten');
  expect(warnings.every((warning) => warning.includes('"lost"'))).toBe(true);
});
