/**
 * How near memory is to its end, as one of five levels. Three uses count, each between 0 and 1: of
 * the pool (held / limit), of the process (resident / limit) and of the system (1 - available /
 * limit, where the limit is the tightest of the control groups, or the machine). The highest use
 * makes the level; a level is left only when the use has fallen clearly below its threshold.
 */
import type { SystemMemory } from "../native/index.ts";

/** From nothing to worry about to the end at hand. */
export const pressureLevels = ["none", "low", "medium", "high", "critical"] as const;
export type PressureLevel = (typeof pressureLevels)[number];

/** What made the level. */
export type PressureCause = "pool" | "process" | "system";

export interface PressureReading {
  system: SystemMemory;
  /** Bytes that the pool has given out, and may give out; absent when it has no limit. */
  pool?: { held: number; limit: number };
}

export interface PressureEvent {
  level: PressureLevel;
  previous: PressureLevel;
  /** Between 0 and 1, and whose it is. */
  use: number;
  cause: PressureCause;
  reading: PressureReading;
}

/** The use from which on each level holds. */
export type PressureThresholds = Record<Exclude<PressureLevel, "none">, number>;

export const defaultThresholds: PressureThresholds = {
  low: 0.7,
  medium: 0.8,
  high: 0.9,
  critical: 0.95,
};

/** A level is left when the use is so far below its threshold. */
export const defaultHysteresis = 0.03;

export interface PressureOptions {
  thresholds?: Partial<PressureThresholds>;
  hysteresis?: number;
}

/** The highest use of a reading, and whose it is. */
export function highestUse({ system, pool }: PressureReading): {
  use: number;
  cause: PressureCause;
} {
  const uses: [PressureCause, number][] = [
    ["system", 1 - system.available / system.limit],
    ["process", system.resident / system.limit],
  ];
  if (pool) uses.push(["pool", pool.held / pool.limit]);
  let best: { use: number; cause: PressureCause } = { use: 0, cause: "system" };
  for (const [cause, use] of uses) if (use > best.use) best = { use: Math.min(1, use), cause };
  return best;
}

/** Whether `level` is as bad as `other`, or worse. */
export function atLeast(level: PressureLevel, other: PressureLevel): boolean {
  return pressureLevels.indexOf(level) >= pressureLevels.indexOf(other);
}

/** Turns readings into levels, with memory of the last one. */
export class PressureGauge {
  readonly #thresholds: readonly number[];
  readonly #hysteresis: number;
  #level = 0;

  /** @throws RangeError when the thresholds do not rise from above 0 to at most 1. */
  constructor({ thresholds, hysteresis = defaultHysteresis }: PressureOptions = {}) {
    const { low, medium, high, critical } = { ...defaultThresholds, ...thresholds };
    const rising = [0, low, medium, high, critical, 1];
    const rises = rising.every((value, index) => index === 0 || value >= rising[index - 1]!);
    if (!rises || low <= 0) {
      throw new RangeError(`pressure thresholds: want rising, above 0 to 1, got ${rising}`);
    }
    if (!(hysteresis >= 0 && hysteresis < low)) {
      throw new RangeError(`pressure hysteresis: want 0 to below ${low}, got ${hysteresis}`);
    }
    this.#thresholds = [0, low, medium, high, critical];
    this.#hysteresis = hysteresis;
  }

  get level(): PressureLevel {
    return pressureLevels[this.#level]!;
  }

  /** Takes a reading; an event when it changes the level. */
  update(reading: PressureReading): PressureEvent | undefined {
    const { use, cause } = highestUse(reading);
    const before = this.#level;
    const reached = this.#reached(use);
    // Down only as far as the use is clearly below what it leaves.
    this.#level =
      reached > before ? reached : Math.min(before, this.#reached(use + this.#hysteresis));
    if (this.#level === before) return undefined;
    return { level: this.level, previous: pressureLevels[before]!, use, cause, reading };
  }

  #reached(use: number): number {
    return this.#thresholds.findLastIndex((threshold) => use >= threshold);
  }
}
