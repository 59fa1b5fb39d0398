/** Greedy tokens under a repetition penalty, over prompt and answer, against transformers. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { load } from "../../src/index.ts";

interface PenaltyCase {
  model: string;
  input_ids: number[];
  repetition_penalty: number;
  greedy_24: number[];
  min_margin: number;
}

const fixtures = join(import.meta.dir, "..", "fixtures");
const { greedy_with_repetition_penalty } = await Bun.file(
  join(fixtures, "sampling", "expected.json"),
).json();
const cases: PenaltyCase[] = greedy_with_repetition_penalty;

test("repetition penalty: greedy tokens equal the reference", async () => {
  expect(cases.length).toBeGreaterThan(0);
  for (const { model: name, input_ids, repetition_penalty, greedy_24 } of cases) {
    await using model = await load(join(fixtures, name), { precision: "exact" });
    const tokens: (number | null)[] = [];
    for await (const piece of model.generate(input_ids, {
      temperature: 0,
      repetitionPenalty: repetition_penalty,
      maxTokens: greedy_24.length,
      ignoreEos: true,
    })) {
      tokens.push(piece.token);
    }
    expect(tokens).toEqual(greedy_24);
  }
});
