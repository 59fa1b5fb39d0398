/**
 * The upkeep of this thread's memory: while anything can be reclaimed, or anyone listens for
 * pressure, it looks at memory from time to time and lets the strategies clean up, a few
 * milliseconds at a time. And it is who makes room when an allocation is about to fail.
 */
import { memoryMetrics, setMakeRoom, systemMemory, trimMemory } from "../native/index.ts";
import { Cleaner, type CleanupReport, type PassOptions } from "./cleaner.ts";
import type { PressureLevel } from "./pressure.ts";
import { type PressureListener, PressureMonitor } from "./pressure-monitor.ts";
import { garbage, keptMemory } from "./process-reclaimers.ts";
import { ReclaimerList } from "./reclaimers.ts";
import {
  deviceStrategy,
  generationalStrategy,
  idleStrategy,
  periodicStrategy,
  pressureStrategy,
  type Strategy,
  urgentStrategy,
} from "./strategies.ts";

/** Of one pass between two turns of the event loop. */
const passMilliseconds = 5;

/** What can be freed in this thread. */
export const reclaimers = new ReclaimerList();

const monitor = new PressureMonitor({
  read() {
    const { held, limit } = memoryMetrics();
    const system = systemMemory();
    return Number.isFinite(limit) ? { system, pool: { held, limit } } : { system };
  },
});
const cleaner = new Cleaner(reclaimers);
let strategies: readonly Strategy[] = [pressureStrategy(), periodicStrategy(), idleStrategy()];
let upkeep: Disposable | undefined;
/** Reports of the last passes that won something, newest last. */
const history: CleanupReport[] = [];
const historyMax = 64;

reclaimers.register((urgent) => keptMemory(urgent, monitor.level));
reclaimers.register((urgent) => garbage(urgent, monitor.level));
/** Providers that are always there and keep nothing going. */
const standingCount = reclaimers.size;

reclaimers.onChange(() => {
  if (reclaimers.size > standingCount) {
    upkeep ??= monitor.onLook(keepUp);
    setMakeRoom(makeRoom);
  } else {
    upkeep?.[Symbol.dispose]();
    upkeep = undefined;
    setMakeRoom(undefined);
  }
});

/** Calls back at each new level of memory pressure until what this returns is disposed of. */
export function onMemoryPressure(listener: PressureListener): Disposable {
  return monitor.on(listener);
}

/** Looks at memory now. */
export function memoryPressure(): PressureLevel {
  return monitor.look();
}

/** Which strategies clean up by themselves; by default pressure, periodic and idle. */
export function setCleanupStrategies(wanted: readonly Strategy[]): void {
  strategies = [...wanted];
}

export interface CleanUpOptions extends Omit<PassOptions, "strategy" | "urgent" | "level"> {
  /** `all`, by default, takes whatever is idle; a device's name only what lies there. */
  strategy?: "all" | "idle" | "pressure" | "periodic" | "generational" | { device: string };
}

/** Cleans up now. @returns what was asked and won */
export function cleanUp({ strategy = "all", ...budget }: CleanUpOptions = {}): CleanupReport {
  const urgent = strategy === "all";
  return pass({ ...budget, strategy: strategyOf(strategy), level: monitor.level, urgent });
}

/** What the last passes won, oldest first. */
export function cleanupHistory(): readonly CleanupReport[] {
  return history;
}

function strategyOf(name: NonNullable<CleanUpOptions["strategy"]>): Strategy {
  if (typeof name === "object") return deviceStrategy(name.device);
  switch (name) {
    case "all":
      return urgentStrategy;
    case "idle":
      return idleStrategy();
    case "pressure":
      return pressureStrategy();
    case "periodic":
      return periodicStrategy({ everySeconds: 0 });
    case "generational":
      return generationalStrategy();
  }
}

function keepUp(level: PressureLevel): void {
  for (const strategy of strategies) pass({ strategy, level, milliseconds: passMilliseconds });
}

/**
 * Frees one thing before an allocation fails: how much is short only the next try tells. Nothing is
 * given up for what could never fit.
 */
function makeRoom(bytes: number): boolean {
  if (bytes > Math.min(memoryMetrics().limit, systemMemory().total)) return false;
  return pass({ strategy: urgentStrategy, level: "critical", bytes: 1, urgent: true }).won > 0;
}

function pass(options: PassOptions): CleanupReport {
  const report = cleaner.pass(options);
  if (report.won > 0) {
    // What was freed lies in the pool, ready for reuse: it is the system that is short of memory.
    trimMemory();
    history.push(report);
  }
  if (history.length > historyMax) history.shift();
  return report;
}
