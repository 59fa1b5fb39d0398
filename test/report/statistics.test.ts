/** Statistics and rounds of the measuring harness. */
import { expect, test } from "bun:test";
import { formatSummary, measureRounds, rateOf, summarize } from "../../src/report/index.ts";

test("summarize: the middle sample is the median, of an even count the mean of two", () => {
  expect(summarize([3, 1, 2])).toEqual({ median: 2, low: 1, high: 3, spread: 1, count: 3 });
  expect(summarize([4, 1, 3, 2])).toEqual({ median: 2.5, low: 1, high: 4, spread: 1.2, count: 4 });
  expect(summarize([7])).toEqual({ median: 7, low: 7, high: 7, spread: 0, count: 1 });
});

test("summarize: samples that are all zero have no spread", () => {
  expect(summarize([0, 0]).spread).toBe(0);
});

test("summarize: no samples, or one that is not finite, is refused", () => {
  expect(() => summarize([])).toThrow("at least one sample");
  expect(() => summarize([1, Number.NaN])).toThrow("got NaN");
  expect(() => summarize([Number.POSITIVE_INFINITY])).toThrow("got Infinity");
});

test("formatSummary: three digits of the median in the unit, and half the spread", () => {
  expect(formatSummary(summarize([50e9, 52e9, 54e9]), 1e9)).toBe("52.0 +-4%");
  expect(formatSummary(summarize([1234]))).toBe("1234 +-0%");
  expect(formatSummary(summarize([0.5]))).toBe("0.50 +-0%");
});

test("measureRounds: every round runs each task once, every other one backwards", async () => {
  const order: string[] = [];
  const note = (name: string, value: number) => () => {
    order.push(name);
    return value;
  };
  const results = await measureRounds({ a: note("a", 1), b: note("b", 2) }, 3);
  expect(order.join("")).toBe("abbaab");
  expect(results.a).toMatchObject({ median: 1, count: 3 });
  expect(results.b).toMatchObject({ median: 2, count: 3 });
});

test("measureRounds: fewer than one round is refused", async () => {
  for (const rounds of [0, 1.5, Number.NaN]) {
    await expect(measureRounds({ a: () => 1 }, rounds)).rejects.toThrow(RangeError);
  }
});

test("rateOf: the work is waited for", async () => {
  const rate = await rateOf(10, () => Bun.sleep(20));
  // Timers may be late, by any amount on a busy machine, and early by their resolution.
  expect(rate).toBeLessThan(10 / 0.018);
  expect(rate).toBeGreaterThan(0);
});
