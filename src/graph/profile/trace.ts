/**
 * A profile in Chrome's trace format: a JSON object of complete events, a thread a Program.
 * Source: "Trace Event Format", Google, docs of the Catapult project: `ph` X, `ts` and `dur` in
 * microseconds, `M` for names.
 */
import type { ProfileRow, ProfileSpan } from "./rows.ts";

interface Traced {
  spans: readonly ProfileSpan[];
  rows: readonly ProfileRow[];
  /** Instructions that ran without being kept. */
  missing: number;
}

export function chromeTrace({ spans, rows, missing }: Traced): string {
  const programs = [...new Set(rows.map(({ program }) => program))];
  const names = programs.map((program, index) => ({
    ph: "M",
    name: "thread_name",
    pid: 1,
    tid: index + 1,
    args: { name: program || "program" },
  }));
  const events = spans.map(({ program, op, shapes, start, seconds }) => ({
    ph: "X",
    name: op,
    cat: program || "program",
    pid: 1,
    tid: programs.indexOf(program) + 1,
    ts: microseconds(start),
    dur: microseconds(seconds),
    args: { shapes },
  }));
  return JSON.stringify({
    displayTimeUnit: "ms",
    otherData: { instructionsNotKept: missing },
    traceEvents: [...names, ...events],
  });
}

/** To the nanosecond. */
function microseconds(seconds: number): number {
  return Math.round(seconds * 1e9) / 1000;
}
