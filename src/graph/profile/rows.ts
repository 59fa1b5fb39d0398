/** What profiled Programs measured, by kind of instruction and one by one. */
/** Instructions of one op and shape, over all runs that were profiled. */
export interface ProfileRow {
  /** What it belongs to: `decode`, for example. */
  program: string;
  op: string;
  /** `f32(2, 3), f32(3) -> f32(2, 3)` */
  shapes: string;
  calls: number;
  seconds: number;
  /** Read and written at least, each element once; of a cache, what is new alone. */
  bytes: number;
  /** An estimate: a function such as `exp` counts as twenty additions. */
  operations: number;
  gigabytesPerSecond: number;
  gigaflopsPerSecond: number;
}

/** One instruction that ran. */
export interface ProfileSpan {
  program: string;
  op: string;
  shapes: string;
  /** In seconds from the first instruction on. */
  start: number;
  seconds: number;
}

/** What one Program has measured. */
export interface ProgramProfile {
  program: string;
  instructions: readonly Omit<
    ProfileRow,
    "program" | "gigabytesPerSecond" | "gigaflopsPerSecond"
  >[];
  /** Index of the instruction, and when, in nanoseconds of one clock. */
  events: readonly { instr: number; startNs: number; durationNs: number }[];
  /** Instructions that ran, those without an event included. */
  ran: number;
}

/** What took most time first. */
export function rowsOf(programs: readonly ProgramProfile[]): ProfileRow[] {
  const rows = new Map<string, ProfileRow>();
  for (const { program, instructions } of programs) {
    for (const { op, shapes, calls, seconds, bytes, operations } of instructions) {
      if (calls === 0) continue;
      const key = `${program}|${op}|${shapes}`;
      const row = rows.get(key) ?? emptyRow(program, op, shapes);
      row.calls += calls;
      row.seconds += seconds;
      row.bytes += bytes;
      row.operations += operations;
      rows.set(key, row);
    }
  }
  for (const row of rows.values()) {
    if (row.seconds === 0) continue;
    row.gigabytesPerSecond = row.bytes / row.seconds / 1e9;
    row.gigaflopsPerSecond = row.operations / row.seconds / 1e9;
  }
  return [...rows.values()].sort((a, b) => b.seconds - a.seconds);
}

function emptyRow(program: string, op: string, shapes: string): ProfileRow {
  const rates = { gigabytesPerSecond: 0, gigaflopsPerSecond: 0 };
  return { program, op, shapes, calls: 0, seconds: 0, bytes: 0, operations: 0, ...rates };
}

/** In the order of their start. */
export function spansOf(programs: readonly ProgramProfile[]): ProfileSpan[] {
  const starts = programs.flatMap(({ events }) => events.map(({ startNs }) => startNs));
  const first = starts.reduce((least, start) => Math.min(least, start), Number.POSITIVE_INFINITY);
  const spans = programs.flatMap(({ program, events, instructions }) =>
    events.map(({ instr, startNs, durationNs }) => ({
      program,
      op: instructions[instr]!.op,
      shapes: instructions[instr]!.shapes,
      start: (startNs - first) / 1e9,
      seconds: durationNs / 1e9,
    })),
  );
  return spans.sort((a, b) => a.start - b.start);
}
