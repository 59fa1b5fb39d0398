/**
 * A pool's use over time, by tag. The pool keeps its total use over its whole life in up to 1,024
 * samples, and its last 8,192 events with their tags; going back through these from what is held
 * now gives the tags' part in each moment they reach to. What was held before has no tag.
 */
import {
  type NativePool,
  PoolEventKind,
  PoolEventLayout,
  PoolSampleLayout,
  type StructValues,
} from "../native/index.ts";
import type { TagMetrics } from "./metrics.ts";

/** Columns of equal width in time; each tells of the moment of its highest use. */
export interface Timeline {
  /** Since the pool's creation, at the end of each column. */
  seconds: number[];
  /** Bytes of live blocks. */
  used: number[];
  /** Bytes given out in whole spans, units and mappings, the most in each column. */
  held: number[];
  /** The most that was used up to then. */
  peak: number[];
  /** What of `used` each tag had, in the order of the tags; null is before the kept events. */
  tags: { tag: string | null; used: number[] }[];
}

type Event = StructValues<typeof PoolEventLayout>;
type Sample = StructValues<typeof PoolSampleLayout>;

const columnCount = 240;

/** Null where the pool keeps none: below level `standard`. */
export function readTimeline(native: NativePool, tags: readonly TagMetrics[]): Timeline | null {
  const samples = native.read("samples", PoolSampleLayout);
  if (samples.length === 0) return null;
  const events = native.read("events", PoolEventLayout);
  const width = Math.max(1, native.metrics().now_ns) / columnCount;
  const seconds = Array.from({ length: columnCount }, (_, column) => ((column + 1) * width) / 1e9);
  const totals = columnsOf(samples, width);
  const numbers = [...new Set(events.map(({ tag }) => tag))];
  const names = new Map(numbers.map((number) => [number, native.name("tag", number)]));
  const parts = partsOf(events, { width, names, tags });
  const known = parts.reduce<number[]>(
    (sum, { used }) => sum.map((value, column) => value + used[column]!),
    new Array<number>(columnCount).fill(0),
  );
  // Columns before the oldest event that is kept have a total alone.
  const first = Math.floor((events[0]?.time_ns ?? Number.POSITIVE_INFINITY) / width);
  const used = totals.used.map((total, column) => (column < first ? total : known[column]!));
  const before = totals.used.map((total, column) => (column < first ? total : 0));
  for (const part of parts) part.used.fill(0, 0, Math.min(first, columnCount));
  let highest = 0;
  const peak = used.map((value, column) => {
    highest = Math.max(highest, value, totals.used[column]!);
    return highest;
  });
  const shown = parts.filter((part) => part.used.some((value) => value > 0));
  const earlier = before.some((value) => value > 0) ? [{ tag: null, used: before }] : [];
  return { seconds, used, held: totals.held, peak, tags: [...shown, ...earlier] };
}

/** The most in each column; a column without a sample goes on as the last one ended. */
function columnsOf(samples: readonly Sample[], width: number): { used: number[]; held: number[] } {
  const used: number[] = [];
  const held: number[] = [];
  let next = 0;
  for (let column = 0; column < columnCount; column += 1) {
    const end = column === columnCount - 1 ? Number.POSITIVE_INFINITY : (column + 1) * width;
    let isFirst = true;
    used.push(used[column - 1] ?? 0);
    held.push(held[column - 1] ?? 0);
    for (; next < samples.length && samples[next]!.time_ns < end; next += 1) {
      const { used_max, held_max } = samples[next]!;
      used[column] = isFirst ? used_max : Math.max(used[column]!, used_max);
      held[column] = isFirst ? held_max : Math.max(held[column]!, held_max);
      isFirst = false;
    }
  }
  return { used, held };
}

interface PartsOptions {
  width: number;
  names: ReadonlyMap<number, string>;
  tags: readonly TagMetrics[];
}

/** What each tag held at the moment of highest use in each column. */
function partsOf(
  events: readonly Event[],
  { width, names, tags }: PartsOptions,
): { tag: string; used: number[] }[] {
  const state = new Map(tags.map(({ tag, used }) => [tag, used]));
  for (const event of events) add(state, names.get(event.tag)!, -changeOf(event));
  for (const [tag, used] of state) state.set(tag, Math.max(0, used));
  const columns: Map<string, number>[] = [];
  let next = 0;
  for (let column = 0; column < columnCount; column += 1) {
    const end = column === columnCount - 1 ? Number.POSITIVE_INFINITY : (column + 1) * width;
    let highest = new Map(state);
    let most = totalOf(state);
    let total = most;
    for (; next < events.length && events[next]!.time_ns < end; next += 1) {
      const change = changeOf(events[next]!);
      add(state, names.get(events[next]!.tag)!, change);
      total += change;
      if (total <= most) continue;
      most = total;
      highest = new Map(state);
    }
    columns.push(highest);
  }
  return [...state.keys()].map((tag) => ({
    tag,
    used: columns.map((column) => Math.max(0, column.get(tag) ?? 0)),
  }));
}

function changeOf({ kind, size }: Event): number {
  if (kind === PoolEventKind.allocate) return size;
  return kind === PoolEventKind.free ? -size : 0;
}

function add(state: Map<string, number>, tag: string, change: number): void {
  state.set(tag, (state.get(tag) ?? 0) + change);
}

function totalOf(state: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const used of state.values()) total += used;
  return total;
}
