/** Matrices of every kind that the packings tell apart, for tests. */
import { randomTernary } from "./random-ternary.ts";

/** Around every block by one, and some that have no weights. */
export const raggedShapes: readonly (readonly [number, number])[] = [
  [0, 7],
  [1, 1],
  [1, 3],
  [3, 5],
  [5, 13],
  [1, 255],
  [1, 256],
  [1, 257],
  [1, 319],
  [2, 160],
  [1, 321],
  [7, 112],
  [33, 130],
  [1, 4096],
  [17, 241],
  [3, 4099],
];

export const patterns: Record<string, (count: number) => Int8Array<ArrayBuffer>> = {
  random: (count) => new Int8Array(randomTernary(count, 1)),
  zeros: (count) => new Int8Array(count),
  ones: (count) => new Int8Array(count).fill(1),
  runs: (count) => Int8Array.from({ length: count }, (_, at) => (Math.floor(at / 190) % 3) - 1),
  few: (count) => Int8Array.from({ length: count }, (_, at) => (at % 131 === 130 ? -1 : 0)),
  mixed: (count) => {
    const codes = new Int8Array(randomTernary(count, 2));
    return codes.fill(0, 0, count >> 1);
  },
};
