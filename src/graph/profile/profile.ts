/**
 * Where the time of Programs went: by kind of instruction, and over time. Times are those of the
 * first worker, from the end of one instruction to the end of the next, so that waiting for the
 * others counts as the instruction's own; taking them costs a clock read each.
 */
import { alignRows, formatBytes, formatDuration } from "../../memory/index.ts";
import { type ProfileRow, type ProfileSpan, type ProgramProfile, rowsOf, spansOf } from "./rows.ts";
import { drawProfile } from "./svg.ts";
import { chromeTrace } from "./trace.ts";

export class Profile {
  /** What took most time first. */
  readonly rows: readonly ProfileRow[];
  /** Single instructions in the order of their start: the first that ran, as many as were kept. */
  readonly spans: readonly ProfileSpan[];
  /** Time in instructions. */
  readonly seconds: number;
  /** Instructions that ran after the last one that was kept. */
  readonly missing: number;

  constructor(programs: readonly ProgramProfile[]) {
    this.rows = rowsOf(programs);
    this.spans = spansOf(programs);
    this.seconds = this.rows.reduce((sum, { seconds }) => sum + seconds, 0);
    this.missing = programs.reduce((sum, { ran, events }) => sum + ran - events.length, 0);
  }

  /** Events in Chrome's trace format, which Perfetto and chrome://tracing open. */
  chromeTrace(): string {
    return chromeTrace(this);
  }

  /** A drawing: what ran when, and what it took in all. */
  toSvg(title = "Time by instruction"): string {
    return drawProfile(this, title);
  }

  /** The rows as a table, those above a hundredth of the time. */
  toString(): string {
    const header = ["instruction", "calls", "time", "share", "moved", "GB/s", "GFLOP/s"];
    const shown = this.rows.filter(({ seconds }) => seconds >= this.seconds / 100);
    const rest = this.rows.slice(shown.length);
    const lines = shown.map((row) => [
      shortened(`${row.program} ${row.op} ${row.shapes}`.trim()),
      String(row.calls),
      formatDuration(row.seconds),
      this.#share(row.seconds),
      formatBytes(row.bytes),
      row.gigabytesPerSecond.toFixed(1),
      row.gigaflopsPerSecond.toFixed(1),
    ]);
    if (rest.length > 0) {
      const seconds = rest.reduce((sum, row) => sum + row.seconds, 0);
      const calls = rest.reduce((sum, row) => sum + row.calls, 0);
      const name = `${rest.length} others`;
      lines.push([name, String(calls), formatDuration(seconds), this.#share(seconds), "", "", ""]);
    }
    return alignRows([header, ...lines]).join("\n");
  }

  #share(seconds: number): string {
    return `${this.seconds > 0 ? ((100 * seconds) / this.seconds).toFixed(1) : "0.0"} %`;
  }
}

/** Columns of the table that say what an instruction is. */
const nameColumns = 72;

function shortened(name: string): string {
  return name.length > nameColumns ? `${name.slice(0, nameColumns - 3)}...` : name;
}
