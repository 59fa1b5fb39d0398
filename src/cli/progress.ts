/**
 * How far a download or a load has come, on standard error: a bar that redraws itself on a
 * terminal, now and then a plain line anywhere else. What is quick says nothing.
 */
import { formatBytes } from "./format.ts";
import { tell } from "./output.ts";

const barCells = 24;
const redrawMs = 80;
const firstLineMs = 3_000;
const lineMs = 5_000;

/** What is under way and how much of it is done, in bytes. */
export interface Stage {
  stage: string;
  done: number;
  total: number;
  /** They are counts and no bytes. */
  counts?: boolean;
}

/** A place for progress; `clear` before anything else is written. */
export class Progress {
  readonly #isTerminal: boolean;
  readonly #isQuiet: boolean;
  readonly #startMs = performance.now();
  #nextMs: number;
  #isDrawn = false;

  constructor({ quiet = false, terminal = process.stderr.isTTY === true } = {}) {
    this.#isQuiet = quiet;
    this.#isTerminal = terminal;
    this.#nextMs = this.#startMs + (terminal ? redrawMs : firstLineMs);
  }

  /** Shows the stage, unless it was shown a moment ago. */
  update(stage: Stage): void {
    const now = performance.now();
    if (this.#isQuiet || now < this.#nextMs) return;
    this.#nextMs = now + (this.#isTerminal ? redrawMs : lineMs);
    if (!this.#isTerminal) {
      tell(describe(stage));
      return;
    }
    const line = `${bar(stage)} ${describe(stage)}`.slice(0, (process.stderr.columns || 80) - 1);
    process.stderr.write(`\r\x1b[2K${line}`);
    this.#isDrawn = true;
  }

  /** Takes the bar away. */
  clear(): void {
    if (this.#isDrawn) process.stderr.write("\r\x1b[2K");
    this.#isDrawn = false;
  }
}

function bar({ done, total }: Stage): string {
  const filled = Math.round(barCells * shareOf(done, total));
  return `[${"#".repeat(filled)}${".".repeat(barCells - filled)}]`;
}

function describe({ stage, done, total, counts }: Stage): string {
  const percent = Math.floor(100 * shareOf(done, total));
  const amount = counts === true ? String : formatBytes;
  return `${percent} %  ${stage}  ${amount(done)} of ${amount(total)}`;
}

function shareOf(done: number, total: number): number {
  return total > 0 ? Math.min(1, done / total) : 0;
}
