/**
 * What an idle model could give back, for the list of reclaimers: pages past the end of a cache,
 * mapped pages, the Programs of exact logits, and whole caches, which are computed again from their
 * tokens and come out the same bit for bit.
 */
import { type Reclaimable, ReclaimPriority } from "../memory/index.ts";
import type { WeightStore } from "../models/index.ts";
import type { EnginePrograms } from "./programs.ts";
import type { Session } from "./session.ts";

export interface IdleParts {
  /** The model's. */
  name: string;
  /** Milliseconds of `performance.now()`. */
  usedAt: number;
  /** An allocation is about to fail. */
  urgent: boolean;
  /** Those that nobody uses; one that is given up is taken out. */
  sessions: Session[];
  /** The mapped files, unless a run may be reading them. */
  store: WeightStore | undefined;
  /** Programs of exact logits, unless they are in use. */
  exact: EnginePrograms | undefined;
}

/** Copying, and reading files that are in the system's cache, goes so fast at least. */
const bytesPerSecond = 1e9;

export function reclaimablesOf(parts: IdleParts): Reclaimable[] {
  const { name, usedAt, store, exact } = parts;
  const items = parts.sessions.flatMap((session) => ofSession(parts, session));
  const device = "cpu";
  if (store && store.mappedBytes > 0 && store.releasedAt < usedAt) {
    items.push({
      name: `mapped files of ${name}`,
      device,
      priority: ReclaimPriority.file,
      bytes: store.mappedBytes,
      usedAt,
      costSeconds: store.mappedBytes / bytesPerSecond,
      reuseCount: 0,
      reclaim: () => store.releaseMapped(),
    });
  }
  if (exact && exact.arenaSize > 0) {
    items.push({
      name: `programs for logits of ${name}`,
      device,
      priority: ReclaimPriority.quick,
      bytes: exact.arenaSize,
      usedAt,
      costSeconds: exact.compileSeconds,
      reuseCount: 0,
      reclaim() {
        const won = exact.arenaSize;
        exact.clear();
        return won;
      },
    });
  }
  return items;
}

function ofSession({ name, sessions, urgent }: IdleParts, session: Session): Reclaimable[] {
  const { cache, cachedTokens, costSeconds, usedAt, reuseCount } = session;
  const isIdle = (): boolean => sessions.includes(session);
  const common = { device: "cpu", usedAt, reuseCount };
  const items: Reclaimable[] = [];
  const empty = cache.wonByDropping(cachedTokens);
  if (empty > 0) {
    items.push({
      ...common,
      name: `empty pages of an idle context of ${name}`,
      priority: ReclaimPriority.empty,
      bytes: empty,
      costSeconds: 0,
      reclaim: () => (isIdle() ? cache.dropPast(cachedTokens) : 0),
    });
  }
  const unused = cache.wonByPacking(cachedTokens);
  // Nobody but a limit feels what is reserved and not touched.
  if (urgent && unused > 0 && cachedTokens > 0) {
    items.push({
      ...common,
      name: `unused reservation of an idle context of ${name}`,
      priority: ReclaimPriority.quick,
      bytes: unused,
      costSeconds: (2 * cache.touchedBytes) / bytesPerSecond,
      reclaim: () => (isIdle() ? cache.pack(cachedTokens) : 0),
    });
  }
  items.push({
    ...common,
    name: `idle context of ${cachedTokens} tokens of ${name}`,
    priority: ReclaimPriority.computed,
    bytes: cache.touchedBytes,
    costSeconds,
    reclaim() {
      if (!isIdle()) return 0;
      sessions.splice(sessions.indexOf(session), 1);
      const won = cache.release();
      session[Symbol.dispose]();
      return won;
    },
  });
  return items;
}
