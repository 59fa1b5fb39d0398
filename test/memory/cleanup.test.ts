/** Cleanup: what each strategy chooses, what a pass asks and reports, and where it ends. */
import { describe, expect, test } from "bun:test";
import { BitNetError } from "../../src/errors/index.ts";
import {
  Cleaner,
  deviceStrategy,
  generationalStrategy,
  idleStrategy,
  type PressureLevel,
  periodicStrategy,
  pressureStrategy,
  type Reclaimable,
  ReclaimerList,
  type Strategy,
} from "../../src/memory/index.ts";

/** A cache that keeps count of what is asked of it. */
function cache(name: string, parts: Partial<Reclaimable> = {}): Reclaimable & { asked: number } {
  return {
    name,
    device: "cpu",
    priority: 0,
    bytes: 100,
    usedAt: 0,
    costSeconds: 0,
    reuseCount: 0,
    asked: 0,
    reclaim() {
      this.asked += 1;
      return this.bytes ?? 0;
    },
    ...parts,
  };
}

function chosen(
  strategy: Strategy,
  items: Reclaimable[],
  moment: { now?: number; level?: PressureLevel; lastPass?: number } = {},
): string[] {
  const { now = 0, level = "none", lastPass = Number.NEGATIVE_INFINITY } = moment;
  return strategy.choose(items, { now, level, lastPass }).map(({ name }) => name);
}

describe("a strategy", () => {
  test("idle takes what lay idle long, the longer the dearer it is", () => {
    const items = [
      cache("free"),
      cache("dear", { costSeconds: 2 }),
      cache("new", { usedAt: 25e3 }),
    ];
    expect(chosen(idleStrategy(), items, { now: 29_999 })).toEqual([]);
    expect(chosen(idleStrategy(), items, { now: 30_000 })).toEqual(["free"]);
    expect(chosen(idleStrategy(), items, { now: 229_999 })).toEqual(["free", "new"]);
    expect(chosen(idleStrategy(), items, { now: 230_000 })).toEqual(["free", "dear", "new"]);
  });

  test("pressure takes by level: nothing, what is free, what is cheap, all", () => {
    const items = [
      cache("free"),
      cache("cheap", { costSeconds: 0.5 }),
      cache("warm", { costSeconds: 0.5, usedAt: 4500 }),
      cache("dear", { costSeconds: 5 }),
    ];
    const at = (level: PressureLevel) => chosen(pressureStrategy(), items, { level, now: 5000 });
    expect(at("none")).toEqual([]);
    expect(at("low")).toEqual([]);
    expect(at("medium")).toEqual(["free"]);
    expect(at("high")).toEqual(["free", "cheap"]);
    expect(at("critical")).toEqual(["free", "cheap", "warm", "dear"]);
  });

  test("periodic takes what is free, once in a while", () => {
    const items = [cache("free"), cache("cheap", { costSeconds: 0.1 })];
    expect(chosen(periodicStrategy(), items)).toEqual(["free"]);
    expect(chosen(periodicStrategy(), items, { lastPass: 0, now: 59_999 })).toEqual([]);
    expect(chosen(periodicStrategy(), items, { lastPass: 0, now: 60_000 })).toEqual(["free"]);
  });

  test("device takes one device alone", () => {
    const items = [cache("a"), cache("b", { device: "metal" })];
    expect(chosen(deviceStrategy("metal"), items)).toEqual(["b"]);
  });

  test("generational takes what was never wanted again first, and waits for the rest", () => {
    const items = [2, 0, 1, 40].map((reuseCount) => cache(`used ${reuseCount}`, { reuseCount }));
    const strategy = generationalStrategy();
    expect(chosen(strategy, items, { now: 9999 })).toEqual([]);
    expect(chosen(strategy, items, { now: 10_000 })).toEqual(["used 0"]);
    expect(chosen(strategy, items, { now: 20_000 })).toEqual(["used 0", "used 1"]);
    expect(chosen(strategy, items, { now: 10_240e3 }).at(-1)).toBe("used 40");
  });
});

describe("the list", () => {
  test("orders by priority, then price for the size, then age", () => {
    const list = new ReclaimerList();
    list.register(() => [
      cache("last", { priority: 2 }),
      cache("dear", { priority: 1, costSeconds: 1, bytes: 10 }),
      cache("worth it", { priority: 1, costSeconds: 1, bytes: 1000 }),
    ]);
    using other = list.register((urgent) => [
      cache("newer", { usedAt: 2 }),
      cache("older", { usedAt: 1 }),
      ...(urgent ? [cache("urgent", { usedAt: 3 })] : []),
    ]);
    const names = (urgent: boolean) => list.items(urgent).map(({ name }) => name);
    expect(names(false)).toEqual(["older", "newer", "worth it", "dear", "last"]);
    expect(names(true)).toEqual(["older", "newer", "urgent", "worth it", "dear", "last"]);
    other[Symbol.dispose]();
    expect(names(true)).toEqual(["worth it", "dear", "last"]);
  });
});

describe("a pass", () => {
  const all: Strategy = { name: "all", choose: (items) => [...items] };
  const setUp = (items: Reclaimable[], clock = () => 0) => {
    const list = new ReclaimerList();
    list.register(() => items);
    return new Cleaner(list, clock);
  };

  test("reports what it asked and won", () => {
    const cleaner = setUp([cache("a"), cache("b", { bytes: 50 })]);
    expect(cleaner.pass({ strategy: all })).toEqual({
      strategy: "all",
      steps: [
        { name: "a", won: 100, inUse: false },
        { name: "b", won: 50, inUse: false },
      ],
      won: 150,
      milliseconds: 0,
      ended: "done",
    });
  });

  test("ends when it has won enough, asking no more than it must", () => {
    const items = ["a", "b", "c"].map((name) => cache(name));
    const report = setUp(items).pass({ strategy: all, bytes: 150 });
    expect([report.won, report.ended]).toEqual([200, "enough"]);
    expect(items.map(({ asked }) => asked)).toEqual([1, 1, 0]);
  });

  test("ends when its time is over, and when it is stopped", () => {
    let now = 0;
    const abort = new AbortController();
    const slow = (name: string) =>
      cache(name, {
        reclaim() {
          now += 3;
          if (now >= 9) abort.abort();
          return 1;
        },
      });
    const cleaner = setUp(
      ["a", "b", "c", "d", "e"].map((name) => slow(name)),
      () => now,
    );
    const timed = cleaner.pass({ strategy: all, milliseconds: 5 });
    expect([timed.won, timed.milliseconds, timed.ended]).toEqual([2, 6, "time"]);
    const stopped = cleaner.pass({ strategy: all, signal: abort.signal });
    expect([stopped.won, stopped.ended]).toEqual([1, "stopped"]);
  });

  test("goes on behind what came into use meanwhile, but not behind a bug", () => {
    const failing = (error: Error) =>
      cache("failing", {
        reclaim() {
          throw error;
        },
      });
    const inUse = failing(new BitNetError("native/in-use", "a run is using it"));
    const report = setUp([inUse, cache("b")]).pass({ strategy: all });
    expect(report.steps.map((step) => step.inUse)).toEqual([true, false]);
    expect(report.won).toBe(100);
    const cleaner = setUp([failing(new Error("bug")), cache("b")]);
    expect(() => cleaner.pass({ strategy: all })).toThrow("bug");
  });

  test("counts the time since the last pass of the same strategy", () => {
    let now = 0;
    const cleaner = setUp([cache("a")], () => now);
    const strategy = periodicStrategy({ everySeconds: 10 });
    const wins = [0, 5000, 9999, 10_000, 15_000, 20_000].map((time) => {
      now = time;
      return cleaner.pass({ strategy }).won;
    });
    expect(wins).toEqual([100, 0, 0, 100, 0, 100]);
  });
});
