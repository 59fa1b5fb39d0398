/**
 * Finds stop texts in a stream of text whose pieces may cut them anywhere.
 *
 * Text comes out as soon as it cannot be part of a stop text any more: what is held back is the
 * longest end that begins one. The stop text that is complete first wins, the longest of those
 * that end together; so the result does not depend on where the pieces were cut.
 */
export class StopScanner {
  readonly #stops: readonly string[];
  #held = "";
  #found: string | null = null;

  /** @param stops none of them empty */
  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** The stop text that was found, or null. */
  get found(): string | null {
    return this.#found;
  }

  /** Takes the next piece; returns the text that may be shown. After a stop text that is "". */
  push(text: string): string {
    if (this.#found !== null) return "";
    const pending = this.#held + text;
    const match = this.#firstMatch(pending);
    if (match !== null) {
      this.#held = "";
      this.#found = match.stop;
      return pending.slice(0, match.start);
    }
    const held = this.#longestBeginning(pending);
    this.#held = pending.slice(pending.length - held);
    return pending.slice(0, pending.length - held);
  }

  /** Ends the stream; returns what was held back for a stop text that never came. */
  finish(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }

  #firstMatch(pending: string): { stop: string; start: number } | null {
    let first: { stop: string; start: number } | null = null;
    let firstEnd = Number.POSITIVE_INFINITY;
    for (const stop of this.#stops) {
      const start = pending.indexOf(stop);
      if (start < 0) continue;
      const end = start + stop.length;
      if (end < firstEnd || (end === firstEnd && start < first!.start)) {
        first = { stop, start };
        firstEnd = end;
      }
    }
    return first;
  }

  /** Length of the longest end of `pending` that begins a stop text without completing it. */
  #longestBeginning(pending: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let size = Math.min(stop.length - 1, pending.length); size > longest; size--) {
        if (pending.endsWith(stop.slice(0, size))) longest = size;
      }
    }
    return longest;
  }
}
