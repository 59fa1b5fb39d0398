/**
 * While gradients are recorded, values that have been computed keep the instruction that made them:
 * a backward pass follows it. Afterwards they are let go, so that nothing keeps its past alive.
 */
import type { Storage } from "../graph/index.ts";

let depth = 0;
const kept: Storage[] = [];

/** Whether a gradient is being recorded. */
export function isTaping(): boolean {
  return depth > 0;
}

/** Whether a gradient is being recorded within another one. */
export function isNested(): boolean {
  return depth > 1;
}

/** Runs with the tape on; calls may be nested. */
export function taping<T>(run: () => T): T {
  depth += 1;
  try {
    return run();
  } finally {
    depth -= 1;
    if (depth === 0) for (const storage of kept.splice(0)) storage.producer = undefined;
  }
}

/** A storage has its memory: what made it is needed no more, unless a gradient is recorded. */
export function settle(storage: Storage): void {
  if (depth > 0) kept.push(storage);
  else storage.producer = undefined;
}
