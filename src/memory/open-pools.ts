/**
 * The pools of this thread that are open, so that a check for leaks finds them. Known by their
 * handles: a weak reference would keep a pool alive to the end of a synchronous loop.
 */
import { engineHandle, NativePool } from "../native/index.ts";
import { type LiveReport, liveReport } from "./live-blocks.ts";

const names = new Map<number, string>();
/** Handles of forgotten pools go when there are so many. */
let pruneSize = 64;

/** From now on the pool is among the open ones, until it ends. */
export function noteOpen(handle: number, name: string): void {
  names.set(handle, name);
  if (names.size < pruneSize) return;
  livePools();
  pruneSize = 64 + 2 * names.size;
}

/** What is alive in each pool that is open now, the engine's first, by handle. */
export function livePools(): Map<number, LiveReport> {
  const reports = new Map<number, LiveReport>();
  for (const [handle, name] of [[engineHandle, "engine"] as const, ...names]) {
    const native = NativePool.tryHold(handle);
    if (native === undefined) {
      names.delete(handle);
    } else {
      reports.set(handle, liveReport(native, name));
      native.release();
    }
  }
  return reports;
}
