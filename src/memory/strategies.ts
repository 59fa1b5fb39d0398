/**
 * When to free what: policies over the list of reclaimers. Each looks at plain data and says what
 * to ask, in which order; asking is the cleaner's work.
 */
import { atLeast, type PressureLevel } from "./pressure.ts";
import type { Reclaimable } from "./reclaimers.ts";

export interface StrategyMoment {
  /** Milliseconds of the clock. */
  now: number;
  level: PressureLevel;
  /** When this strategy had its last pass; minus infinity before the first. */
  lastPass: number;
}

export interface Strategy {
  readonly name: string;
  /** What to ask now, of items in the list's order. */
  choose(items: readonly Reclaimable[], moment: StrategyMoment): Reclaimable[];
}

/**
 * Things that have lain idle long enough: `afterSeconds`, and for each second that making them
 * again takes `holdFactor` seconds more. So what is lost by freeing too early is never more than
 * a small part of the time for which memory was held in vain.
 */
export function idleStrategy({ afterSeconds = 30, holdFactor = 100 } = {}): Strategy {
  return {
    name: "idle",
    choose: (items, { now }) =>
      items.filter(
        (item) => idleSeconds(item, now) >= afterSeconds + holdFactor * item.costSeconds,
      ),
  };
}

/**
 * By level: medium takes what costs nothing to make again, high also what costs up to a second and
 * has been idle for one, critical all.
 */
export function pressureStrategy(): Strategy {
  return {
    name: "pressure",
    choose(items, { level, now }) {
      if (level === "critical") return [...items];
      if (!atLeast(level, "medium")) return [];
      return items.filter((item) => {
        if (item.costSeconds === 0) return true;
        return level === "high" && item.costSeconds <= 1 && idleSeconds(item, now) >= 1;
      });
    },
  };
}

/** Every so often, whatever the level, what costs nothing to make again. */
export function periodicStrategy({ everySeconds = 60 } = {}): Strategy {
  return {
    name: "periodic",
    choose: (items, { now, lastPass }) =>
      now - lastPass >= everySeconds * 1000 ? items.filter((item) => item.costSeconds === 0) : [],
  };
}

/** All of one device, as before it is used for something else. */
export function deviceStrategy(device: string): Strategy {
  return {
    name: "device",
    choose: (items) => items.filter((item) => item.device === device),
  };
}

/**
 * What was never wanted again goes first: the time it may lie idle begins at `youngSeconds` and
 * doubles with each time it was wanted again, up to 2^10 times as long.
 */
export function generationalStrategy({ youngSeconds = 10 } = {}): Strategy {
  return {
    name: "generational",
    choose: (items, { now }) =>
      items
        .filter((item) => {
          const patience = youngSeconds * 2 ** Math.min(10, item.reuseCount);
          return idleSeconds(item, now) >= patience;
        })
        .sort((a, b) => a.reuseCount - b.reuseCount),
  };
}

/** All there is: what an allocation that is about to fail takes, as far as it needs. */
export const urgentStrategy: Strategy = { name: "urgent", choose: (items) => [...items] };

function idleSeconds(item: Reclaimable, now: number): number {
  return (now - item.usedAt) / 1000;
}
