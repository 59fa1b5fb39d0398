/** Seeds to words, settings to the rows that the sampling kernels read. */
import { expect, test } from "bun:test";
import {
  randomRow,
  resolveSeed,
  resolveSettings,
  samplingRow,
  seedWords,
} from "../../src/generate/index.ts";
import { SamplingColumn } from "../../src/native/index.ts";

test("seeds: numbers and bigints of one value are one seed, split into two words", () => {
  expect(resolveSeed(7)).toBe(7n);
  expect(resolveSeed(7n)).toBe(7n);
  expect(seedWords(resolveSeed(Number.MAX_SAFE_INTEGER))).toEqual([0xffff_ffff, 0x1f_ffff]);
  expect(seedWords(2n ** 64n - 1n)).toEqual([0xffff_ffff, 0xffff_ffff]);
  expect(seedWords(0x0123_4567_89ab_cdefn)).toEqual([0x89ab_cdef, 0x0123_4567]);
});

test("seeds: without one each generation draws its own", () => {
  const seeds = new Set(Array.from({ length: 20 }, () => resolveSeed()));
  expect(seeds.size).toBe(20);
});

test("randomRow: seed words, sequence, step 0", () => {
  expect([...randomRow(0x0000_0002_0000_0001n, 5)]).toEqual([1, 2, 5, 0]);
});

test("samplingRow: every setting lies in its column", () => {
  const row = samplingRow(
    resolveSettings({
      temperature: 0.5,
      topK: 40,
      topP: 0.75,
      minP: 0.25,
      typicalP: 0.125,
      repetitionPenalty: 1.5,
      noRepeatNgram: 3,
    }),
  );
  expect([...row]).toEqual([0.5, 40, 0.75, 0.25, 0.125, 1.5, 3, 0]);
});

test("samplingRow: a share too small for f32 does not turn its filter off", () => {
  const row = samplingRow(resolveSettings({ topP: 1e-300, typicalP: 1e-300 }));
  expect(row[SamplingColumn.top_p]).toBeGreaterThan(0);
  expect(row[SamplingColumn.typical_p]).toBeGreaterThan(0);
});
