/** The upkeep that runs by itself: while there is something to free, and for who asks. */
import { afterEach, expect, test } from "bun:test";
import {
  cleanUp,
  cleanupHistory,
  memoryPressure,
  type PressureLevel,
  pressureLevels,
  type Reclaimable,
  ReclaimPriority,
  reclaimers,
  type Strategy,
  setCleanupStrategies,
} from "../../src/memory/index.ts";
import { garbage, keptMemory } from "../../src/memory/process-reclaimers.ts";
import { Region } from "../../src/native/index.ts";

// As the preload has it for every test.
afterEach(() => setCleanupStrategies([]));

function item(parts: Partial<Reclaimable>): Reclaimable {
  return {
    name: "planted",
    device: "cpu",
    priority: ReclaimPriority.empty,
    bytes: 1000,
    usedAt: performance.now(),
    costSeconds: 0,
    reuseCount: 0,
    reclaim: () => 1000,
    ...parts,
  };
}

test("strategies are asked by themselves as soon as something can be freed", async () => {
  const seen: string[] = [];
  let freed = 0;
  const strategy: Strategy = {
    name: "planted",
    choose(items, { level }) {
      seen.push(level);
      return items.filter(({ name }) => name === "planted");
    },
  };
  setCleanupStrategies([strategy]);
  const planted = item({
    reclaim() {
      freed += 1;
      return 1000;
    },
  });
  using registration = reclaimers.register(() => (freed === 0 ? [planted] : []));
  expect(registration).toBeDefined();
  // Another provider may have been there before: then the next look is some seconds away.
  memoryPressure();
  for (let round = 0; round < 200 && freed === 0; round += 1) await Bun.sleep(1);
  expect(freed).toBe(1);
  expect(pressureLevels as readonly string[]).toContain(seen[0]!);
  expect(cleanupHistory().at(-1)).toMatchObject({ strategy: "planted", won: 1000, ended: "done" });
});

test("whoever asks gets what the strategy takes, within the budget", () => {
  setCleanupStrategies([]);
  const freed: string[] = [];
  const named = (name: string, parts: Partial<Reclaimable> = {}): Reclaimable =>
    item({
      name,
      reclaim() {
        freed.push(name);
        return 1000;
      },
      ...parts,
    });
  const planted = [
    named("new"),
    named("old", { usedAt: -1e9, costSeconds: 0.01 }),
    named("far", { device: "metal", costSeconds: 3 }),
  ];
  using registration = reclaimers.register(() => planted);
  expect(registration).toBeDefined();
  const asked = (options: Parameters<typeof cleanUp>[0]): string[] => {
    freed.length = 0;
    cleanUp(options);
    return [...freed].sort();
  };
  expect(asked({ strategy: "idle" })).toEqual(["old"]);
  expect(asked({ strategy: { device: "metal" } })).toEqual(["far"]);
  expect(asked({ strategy: "periodic" })).toEqual(["new"]);
  expect(asked({ strategy: "generational" })).toEqual(["old"]);
  expect(asked({})).toEqual(["far", "new", "old"]);
  expect(asked({ bytes: 1 }).length).toBe(1);
  expect(asked({ signal: AbortSignal.abort() })).toEqual([]);
});

test("what nobody holds any more is freed when everything is cleaned up", () => {
  const names = (urgent: boolean) => reclaimers.items(urgent).map(({ name }) => name);
  expect(names(true)).toContain("what the collector finds");
  const report = cleanUp();
  expect(report.steps.some(({ name }) => name === "what the collector finds")).toBe(true);
});

test("what the collector and the pool look after themselves is theirs until memory is short", () => {
  const of = (provider: typeof garbage, level: PressureLevel, urgent = false): string[] =>
    provider(urgent, level).map(({ name }) => name);
  const found = ["what the collector finds"];
  const kept = ["freed memory kept for reuse"];
  // Kept by the pool, for lately as much was in use.
  Region.create(16 << 20)[Symbol.dispose]();
  for (const level of ["none", "low"] as const) expect(of(keptMemory, level)).toEqual([]);
  for (const level of ["medium", "high"] as const) expect(of(keptMemory, level)).toEqual(kept);
  expect(of(keptMemory, "none", true)).toEqual(kept);
  expect(of(garbage, "medium")).toEqual([]);
  expect(of(garbage, "medium", true)).toEqual(found);
  // Not again so soon, but for an allocation.
  garbage(true, "none")[0]!.reclaim();
  expect(of(garbage, "critical")).toEqual([]);
  expect(of(garbage, "none", true)).toEqual(found);
  const trimmed = keptMemory(true, "none")[0]!;
  expect(trimmed.bytes).toBeGreaterThanOrEqual(16 << 20);
  expect(trimmed.reclaim()).toBeGreaterThanOrEqual(16 << 20);
  expect(of(keptMemory, "critical")).toEqual([]);
});
