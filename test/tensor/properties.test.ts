/** Every op on random tensors against plain numbers; see properties.ts. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Draw } from "./drawn.ts";
import { anyDType } from "./plain.ts";
import { properties } from "./properties.ts";

/** Cases of each dtype; the campaign draws many more. */
const rounds = process.env.BITNET_LONG ? 300 : 4;

describe("on random tensors of every dtype, shape and view", () => {
  for (const [op, property] of Object.entries(properties)) {
    if (typeof property !== "function") continue;
    test(`${op} gives what plain numbers give`, () => {
      for (const dtype of anyDType) {
        for (let round = 0; round < rounds; round += 1) {
          const seed = round * 7919 + op.length * 131 + dtype.length;
          try {
            property(new Draw(seed, dtype));
          } catch (error) {
            const why = (error as Error).message;
            throw new Error(`${op}, ${dtype}, seed ${seed}: ${why}`, { cause: error });
          }
        }
      }
    });
  }

  test("what tensors do not record is tested where its entry says", async () => {
    for (const [op, property] of Object.entries(properties)) {
      if (typeof property === "function") continue;
      const text = await Bun.file(join(import.meta.dir, "..", property.file)).text();
      expect([op, nameIn(text, op)]).toEqual([op, true]);
    }
  });
});

/** The op by its name, or by that of the function that records it. */
function nameIn(text: string, op: string): boolean {
  const camel = op.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  const short = op.replace("random_", "");
  return [op, camel, short].some((name) => text.includes(name));
}
