/** Patterns: what is planted is found, and what is not there is not. */
import { describe, expect, test } from "bun:test";
import { findPatterns, type PatternKind, type UseSample } from "../../src/memory/index.ts";
import { Random } from "../checkpoint/random.ts";

const MiB = 1 << 20;

interface SeriesOptions {
  count?: number;
  seed?: number;
  held?: (used: number, index: number) => number;
}

function series(
  used: (index: number, random: () => number) => number,
  { count = 400, seed = 1, held = (bytes) => 1.1 * bytes }: SeriesOptions = {},
): UseSample[] {
  const source = new Random(seed);
  const random = () => source.below(1e6) / 1e6;
  return Array.from({ length: count }, (_, index) => {
    const bytes = Math.round(used(index, random));
    return { time: index / 10, used: bytes, held: Math.round(held(bytes, index)) };
  });
}

function kinds(samples: UseSample[]): PatternKind[] {
  return findPatterns({ samples }).map(({ kind }) => kind);
}

describe("a series without a pattern gives no finding", () => {
  test("flat, or too short to say anything", () => {
    expect(kinds(series(() => 100 * MiB))).toEqual([]);
    expect(kinds(series((index) => index * MiB, { count: 12 }))).toEqual([]);
    expect(findPatterns({ samples: [] })).toEqual([]);
  });

  test("of noise, whatever the seed", () => {
    for (let seed = 1; seed <= 100; seed += 1) {
      const noisy = series((_, random) => (100 + 10 * random()) * MiB, { seed });
      expect({ seed, found: kinds(noisy) }).toEqual({ seed, found: [] });
      const wild = series((_, random) => 100 * MiB * random(), { seed, held: () => 200 * MiB });
      expect({ seed, found: kinds(wild) }).toEqual({ seed, found: [] });
    }
  });

  test("that loads at the start and stays", () => {
    const loading = series((index, random) => (Math.min(index, 100) * 10 + random()) * MiB);
    expect(kinds(loading)).not.toContain("leak");
  });

  test("that shrinks", () => {
    expect(kinds(series((index) => (1000 - index) * MiB))).toEqual([]);
  });
});

describe("a planted leak", () => {
  test("is found beneath work that comes and goes, with its rate", () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      // 1 MiB every tenth of a second: 600 MiB a minute.
      const leaking = series((index, random) => (100 + index + 200 * random()) * MiB, { seed });
      const [leak] = findPatterns({ samples: leaking }).filter(({ kind }) => kind === "leak");
      expect(leak?.confidence).toBeGreaterThan(0.6);
      const rate = Number(/by (\d+\.\d) MiB a minute/.exec(leak!.finding)?.[1]);
      expect(rate).toBeGreaterThan(300);
      expect(rate).toBeLessThan(900);
      expect(leak?.setting).toEqual({ name: "level", value: "standard" });
    }
  });

  test("is surer the longer it is watched", () => {
    const confidence = (count: number): number =>
      findPatterns({ samples: series((index) => (100 + index) * MiB, { count }) })[0]!.confidence;
    expect(confidence(400)).toBeGreaterThan(confidence(100));
    expect(confidence(100)).toBeGreaterThan(confidence(40));
    expect(confidence(1000)).toBeLessThan(1);
  });
});

describe("waves and bursts", () => {
  test("a period is found, with its length and swing", () => {
    const square = series((index, random) => (100 + (index % 40 < 20 ? 50 : 0) + random()) * MiB);
    const sine = series((index) => (100 + 25 * Math.sin((2 * Math.PI * index) / 40)) * MiB);
    for (const samples of [square, sine]) {
      const [found] = findPatterns({ samples });
      expect(found).toMatchObject({ kind: "periodic" });
      expect(found!.confidence).toBeGreaterThan(0.8);
      const period = Number(/every (\d+\.\d) s/.exec(found!.finding)?.[1]);
      expect(period).toBeGreaterThan(3.7);
      expect(period).toBeLessThan(4.3);
    }
  });

  test("waves on a rising floor are waves and a leak", () => {
    const both = series((index) => (100 + index + (index % 40 < 20 ? 50 : 0)) * MiB);
    expect(kinds(both).sort()).toEqual(["leak", "periodic"]);
  });

  test("rare jumps at irregular times are bursts", () => {
    const at = new Set([13, 61, 75, 140, 155, 230, 301, 317, 380]);
    const bursts = series((index) => (at.has(index) ? 500 : 100) * MiB);
    expect(kinds(bursts)).toContain("bursty");
    expect(kinds(series((index) => (index < 100 ? 100 : 500) * MiB))).not.toContain("bursty");
  });
});

test("fragmentation that grows is found, and high but steady is not", () => {
  const growing = { held: (used: number, index: number) => used * (1 + index / 400) };
  expect(kinds(series(() => 100 * MiB, growing))).toEqual(["fragmentation"]);
  expect(kinds(series(() => 100 * MiB, { held: (used) => 3 * used }))).toEqual([]);
});

describe("sizes and devices", () => {
  test("a size that most large blocks have is found, small blocks are not", () => {
    const find = (sizes: { size: number; count: number }[]) =>
      findPatterns({ samples: [], sizes }).map(({ finding }) => finding);
    const many = { size: 128 << 10, count: 900 };
    expect(find([many, { size: 8192, count: 100 }, { size: 64, count: 1e6 }])).toEqual([
      "900 of 1000 blocks of 4 KiB and more have one size: 128.0 KiB",
    ]);
    expect(find([{ size: 64, count: 1e6 }])).toEqual([]);
    expect(find([{ size: 8192, count: 3 }])).toEqual([]);
    const even = [1, 2, 3, 4].map((pages) => ({ size: 4096 * pages, count: 500 }));
    expect(find(even)).toEqual([]);
  });

  test("a device near its limit is found, and where there is room", () => {
    const samples = series(() => 100 * MiB);
    const near = { name: "cpu", held: 97 * MiB, limit: 100 * MiB };
    const roomy = { name: "metal", held: 1 * MiB, limit: 100 * MiB };
    const [alone] = findPatterns({ samples, devices: [near] });
    expect(alone).toMatchObject({ kind: "device", setting: { name: "maxBytes" } });
    expect(alone?.suggestion).toContain("raise the limit");
    const [beside] = findPatterns({ samples, devices: [near, roomy] });
    expect(beside?.suggestion).toContain("to metal");
    expect(findPatterns({ samples, devices: [roomy] })).toEqual([]);
    expect(findPatterns({ samples, devices: [{ ...near, limit: null }] })).toEqual([]);
  });
});
