/** Stop texts are found wherever pieces cut them, and no text is held back in vain. */
import { expect, test } from "bun:test";
import { StopScanner } from "../../src/generate/index.ts";

function scan(stops: string[], pieces: string[]): { text: string; found: string | null } {
  const scanner = new StopScanner(stops);
  let text = "";
  for (const piece of pieces) text += scanner.push(piece);
  return { text: text + scanner.finish(), found: scanner.found };
}

test("StopScanner: without stop texts every piece passes at once", () => {
  const scanner = new StopScanner([]);
  expect(scanner.push("once ")).toBe("once ");
  expect(scanner.push("")).toBe("");
  expect(scanner.finish()).toBe("");
});

test("StopScanner: holds back only what could begin a stop text, and lets it go when it does not", () => {
  const scanner = new StopScanner(["END", "\n\n"]);
  expect(scanner.push("the E")).toBe("the ");
  expect(scanner.push("N")).toBe("");
  expect(scanner.push("Dless\n")).toBe("");
  expect(scanner.found).toBe("END");

  const other = new StopScanner(["END", "\n\n"]);
  expect(other.push("the EN")).toBe("the ");
  expect(other.push("T came\n")).toBe("ENT came");
  expect(other.push("on E")).toBe("\non ");
  expect(other.finish()).toBe("E");
  expect(other.found).toBeNull();
});

test("StopScanner: the text before a stop text comes out, the stop text and the rest do not", () => {
  const scanner = new StopScanner(["User:"]);
  expect(scanner.push("Hello.\nUs")).toBe("Hello.\n");
  expect(scanner.push("er: and more")).toBe("");
  expect(scanner.found).toBe("User:");
  expect(scanner.push("later")).toBe("");
  expect(scanner.finish()).toBe("");
});

test("StopScanner: a beginning that repeats itself is not lost", () => {
  expect(scan(["aab"], ["a", "a", "a", "b", "c"])).toEqual({ text: "a", found: "aab" });
  expect(scan(["abab!"], ["abab", "ab!"])).toEqual({ text: "ab", found: "abab!" });
});

test("StopScanner: the stop text complete first wins, then the longest", () => {
  expect(scan(["abc", "b"], ["abc"])).toEqual({ text: "a", found: "b" });
  expect(scan(["b", "ab"], ["xab"])).toEqual({ text: "x", found: "ab" });
});

test("StopScanner: characters of two code units stay whole", () => {
  const scanner = new StopScanner(["🐺🐺"]);
  expect(scanner.push("a🐺")).toBe("a");
  expect(scanner.push("🐻")).toBe("🐺🐻");
});

test("StopScanner: the result does not depend on where the pieces are cut", () => {
  const random = mulberry(4711);
  const letter = () => "abc"[Math.floor(random() * 3)]!;
  const word = (size: number) => Array.from({ length: size }, letter).join("");
  for (let round = 0; round < 400; round++) {
    const stops = Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
      word(2 + Math.floor(random() * 4)),
    );
    const text = word(30);
    const whole = scan(stops, [text]);
    expect(scan(stops, [...text])).toEqual(whole);
    const cut = Math.floor(random() * text.length);
    expect(scan(stops, [text.slice(0, cut), text.slice(cut)])).toEqual(whole);
    if (whole.found === null) expect(whole.text).toBe(text);
    else expect(text.startsWith(whole.text + whole.found)).toBe(true);
  }
});

/** A small seeded generator of numbers in [0, 1). */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
