/** The statistics that patterns are found by, over plain series of numbers. */

/** Kendall's tau of a series against its order, ties counting as neither: -1 falls, 1 rises. */
export function risingShare(values: readonly number[]): number {
  let sum = 0;
  for (let later = 1; later < values.length; later += 1) {
    for (let at = 0; at < later; at += 1) sum += Math.sign(values[later]! - values[at]!);
  }
  const pairs = (values.length * (values.length - 1)) / 2;
  return pairs === 0 ? 0 : sum / pairs;
}

/** The series in `count` parts of equal length (the last may be longer), each made one number. */
export function windows(
  values: readonly number[],
  count: number,
  reduce: (part: readonly number[]) => number,
): number[] {
  const size = Math.floor(values.length / count);
  return Array.from({ length: count }, (_, index) => {
    const end = index === count - 1 ? values.length : (index + 1) * size;
    return reduce(values.slice(index * size, end));
  });
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

export function deviation(values: readonly number[]): number {
  const center = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - center) ** 2)));
}

/** Values at `count` times of equal distance, between the points that are known. */
export function resample(
  points: readonly { time: number; value: number }[],
  count: number,
): number[] {
  const start = points[0]!.time;
  const step = (points.at(-1)!.time - start) / (count - 1);
  let at = 0;
  return Array.from({ length: count }, (_, index) => {
    const time = start + index * step;
    while (at < points.length - 2 && points[at + 1]!.time <= time) at += 1;
    const [a, b] = [points[at]!, points[at + 1]!];
    const share = b.time === a.time ? 0 : Math.min(1, (time - a.time) / (b.time - a.time));
    return a.value + share * (b.value - a.value);
  });
}

/** The series without its straight line of least squares. */
export function detrend(values: readonly number[]): number[] {
  const middle = (values.length - 1) / 2;
  const center = mean(values);
  let covariance = 0;
  let variance = 0;
  for (const [index, value] of values.entries()) {
    covariance += (index - middle) * (value - center);
    variance += (index - middle) ** 2;
  }
  const slope = variance === 0 ? 0 : covariance / variance;
  return values.map((value, index) => value - center - slope * (index - middle));
}

/** How a series resembles itself `lag` places later, -1 to 1, for a series of mean zero. */
export function autocorrelation(values: readonly number[], lag: number): number {
  let product = 0;
  let before = 0;
  let after = 0;
  for (let index = lag; index < values.length; index += 1) {
    const [a, b] = [values[index - lag]!, values[index]!];
    product += a * b;
    before += a * a;
    after += b * b;
  }
  const power = Math.sqrt(before * after);
  return power === 0 ? 0 : product / power;
}
