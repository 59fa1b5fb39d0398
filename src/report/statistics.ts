/** What repeated measurements say: their middle, and how far apart they lie. */

/** Samples of one quantity, in its own unit. */
export interface Summary {
  /** The middle sample, or the mean of the two middle ones. */
  median: number;
  low: number;
  high: number;
  /** (high - low) / median: 0 when all agree. */
  spread: number;
  count: number;
}

/** @throws RangeError without samples, or with one that is not finite. */
export function summarize(samples: readonly number[]): Summary {
  if (samples.length === 0) throw new RangeError("want at least one sample, got none");
  for (const sample of samples) {
    if (!Number.isFinite(sample)) throw new RangeError(`want finite samples, got ${sample}`);
  }
  const sorted = [...samples].sort((a, b) => a - b);
  const count = sorted.length;
  const low = sorted[0]!;
  const high = sorted[count - 1]!;
  const median = (sorted[(count - 1) >> 1]! + sorted[count >> 1]!) / 2;
  return { median, low, high, spread: median === 0 ? 0 : (high - low) / median, count };
}

/** `52.1 +-3%`: the median divided by `unit`, in three digits, and half the spread. */
export function formatSummary({ median, spread }: Summary, unit = 1): string {
  return `${threeDigits(median / unit)} +-${Math.round(spread * 50)}%`;
}

function threeDigits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}
