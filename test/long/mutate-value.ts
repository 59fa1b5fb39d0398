/** One change anywhere in a JSON value: another value, a missing one, a foreign key. */
import type { Random } from "../checkpoint/random.ts";

type Json = Record<string, unknown>;

const strange: unknown[] = [
  null,
  true,
  false,
  -1,
  0,
  1,
  3,
  1.5,
  127,
  4096,
  65_537,
  1e9,
  2 ** 31,
  2 ** 40,
  2 ** 53,
  1e300,
  1e-300,
  "",
  "x",
  "\u0000",
  "\ud800",
  "bitnet",
  "x".repeat(70_000),
  [],
  {},
  [1, 2],
  [[[[]]]],
  { type: "Sequence" },
  { type: "none" },
];

/** A copy of `json` in which one value at a random place is another or gone. */
export function mutateValue(json: unknown, random: Random): unknown {
  const copy = structuredClone(json);
  let place = { at: copy as Json, key: "" };
  // Half of the walks stop above a leaf, so that whole branches change too.
  for (let node: unknown = copy; isBranch(node); node = place.at[place.key]) {
    const keys = Object.keys(node);
    if (keys.length === 0) break;
    place = { at: node as Json, key: random.pick(keys) };
    if (random.below(4) === 0) break;
  }
  if (place.key === "") return random.pick(strange);
  const { at, key } = place;
  const value = at[key];
  switch (random.below(6)) {
    case 0:
      if (Array.isArray(at)) at.splice(Number(key), 1);
      else delete at[key];
      break;
    case 1:
      at[key] = typeof value === "number" ? nearby(value, random) : random.pick(strange);
      break;
    case 2:
      at[key] = typeof value === "string" ? damagedText(value, random) : random.pick(strange);
      break;
    default:
      at[key] = random.pick(strange);
  }
  return copy;
}

function isBranch(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function nearby(value: number, random: Random): number {
  return random.pick([value + 1, value - 1, value * 2, value / 2, -value, value * 1e6]);
}

function damagedText(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  return random.pick([text.slice(0, at), text + text, text.slice(at), `${text}{{`, `(${text}`]);
}
