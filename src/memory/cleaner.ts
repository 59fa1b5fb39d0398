/**
 * Passes over the list of reclaimers: a strategy says what to ask, a budget of bytes and time when
 * it is enough. A pass reports what it asked, what was won, and why it ended.
 */
import { BitNetError } from "../errors/index.ts";
import type { PressureLevel } from "./pressure.ts";
import type { Reclaimable, ReclaimerList } from "./reclaimers.ts";
import type { Strategy } from "./strategies.ts";

export interface PassOptions {
  strategy: Strategy;
  level?: PressureLevel;
  /** Ends once so many bytes are won. */
  bytes?: number;
  /** Ends once so much time is gone; what is being freed is freed whole. */
  milliseconds?: number;
  /** An allocation is about to fail. */
  urgent?: boolean;
  signal?: AbortSignal;
}

export interface CleanupStep {
  name: string;
  /** Bytes. */
  won: number;
  /** It was taken into use between the list and the asking. */
  inUse: boolean;
}

export interface CleanupReport {
  strategy: string;
  steps: CleanupStep[];
  /** Bytes. */
  won: number;
  milliseconds: number;
  /** `done`: all that was chosen was asked. */
  ended: "done" | "enough" | "time" | "stopped";
}

export class Cleaner {
  readonly #list: ReclaimerList;
  readonly #clock: () => number;
  readonly #lastPass = new Map<string, number>();

  /** `clock` gives milliseconds. */
  constructor(list: ReclaimerList, clock: () => number = performance.now.bind(performance)) {
    this.#list = list;
    this.#clock = clock;
  }

  /** One pass, on this thread and at once. */
  pass(options: PassOptions): CleanupReport {
    const { strategy, level = "none", urgent = false } = options;
    const start = this.#clock();
    const lastPass = this.#lastPass.get(strategy.name) ?? Number.NEGATIVE_INFINITY;
    const chosen = strategy.choose(this.#list.items(urgent), { now: start, level, lastPass });
    const report: CleanupReport = {
      strategy: strategy.name,
      steps: [],
      won: 0,
      milliseconds: 0,
      ended: "done",
    };
    for (const item of chosen) {
      const end = this.#end(report, start, options);
      if (end) {
        report.ended = end;
        break;
      }
      const step = ask(item);
      report.steps.push(step);
      report.won += step.won;
    }
    if (chosen.length > 0) this.#lastPass.set(strategy.name, start);
    report.milliseconds = this.#clock() - start;
    return report;
  }

  #end(report: CleanupReport, start: number, options: PassOptions): CleanupReport["ended"] | null {
    const { bytes = Number.POSITIVE_INFINITY, milliseconds = Number.POSITIVE_INFINITY } = options;
    if (options.signal?.aborted) return "stopped";
    if (report.won >= bytes) return "enough";
    return this.#clock() - start >= milliseconds ? "time" : null;
  }
}

function ask(item: Reclaimable): CleanupStep {
  try {
    return { name: item.name, won: item.reclaim(), inUse: false };
  } catch (error) {
    if (!(error instanceof BitNetError)) throw error;
    const inUse = error.code === "native/in-use";
    // What moves memory together needs some for that.
    if (!inUse && error.code !== "native/out-of-memory") throw error;
    return { name: item.name, won: 0, inUse };
  }
}
