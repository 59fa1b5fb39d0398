/** Figures as people read them, and text that a terminal cannot be led astray by. */
import { expect, test } from "bun:test";
import { didYouMean } from "../../src/cli/did-you-mean.ts";
import { formatBytes, formatCount, formatSeconds, plural, table } from "../../src/cli/format.ts";
import { withoutControls } from "../../src/cli/output.ts";
import { tokensPerSecond } from "../../src/cli/speed-line.ts";

test("bytes have three digits and a decimal unit", () => {
  const texts = [0, 999, 1_000, 2_664_560, 99_500_000, 999_400_000, 999_600_000, 1.2e13];
  expect(texts.map(formatBytes)).toEqual([
    "0 B",
    "999 B",
    "1.00 kB",
    "2.66 MB",
    "100 MB",
    "999 MB",
    "1.00 GB",
    "12.0 TB",
  ]);
});

test("durations below a tenth of a second are in milliseconds", () => {
  expect([0, 0.0124, 0.41, 9.994, 75.2].map(formatSeconds)).toEqual([
    "0 ms",
    "12 ms",
    "0.41 s",
    "9.99 s",
    "75 s",
  ]);
});

test("counts and plurals", () => {
  expect([512, 6_833_408, 2_412_820_480].map(formatCount)).toEqual(["512", "6.8 M", "2.41 B"]);
  expect([plural(1, "token"), plural(2, "token")]).toEqual(["1 token", "2 tokens"]);
});

test("columns align by what a terminal shows", () => {
  expect(table([["a", "x"], ["狼狼", "y"], ["c"]])).toEqual(["  a     x", "  狼狼  y", "  c"]);
});

test("speed is tokens by the seconds of making them, in three digits", () => {
  const stats = { promptTokens: 4, promptSeconds: 1, firstTokenSeconds: 1 };
  expect(tokensPerSecond({ ...stats, tokens: 120, seconds: 0.41 })).toBe(293);
  expect(tokensPerSecond({ ...stats, tokens: 10, seconds: 3 })).toBe(3.33);
  expect(tokensPerSecond({ ...stats, tokens: 0, seconds: 0 })).toBe(0);
});

test("a mistyped word finds the near one and no far one", () => {
  expect(didYouMean("inspekt", ["run", "inspect"])).toBe(" (did you mean inspect?)");
  expect(didYouMean("rn", ["run", "rm"])).not.toBe("");
  expect(didYouMean("serve", ["run", "inspect"])).toBe("");
});

test("a model's text reaches a terminal without control characters", () => {
  expect(withoutControls("a\x1b[2Jb\tc\nd\re\x07\x9bf")).toBe("a[2Jb\tc\ndef");
});
