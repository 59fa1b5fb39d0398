/** 3,000 tokens across every page and chunk edge. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { loadModel } from "../../src/engine/index.ts";
import { compare, fixturesDir, readReference } from "./reference.ts";

test("long context: logits at page and chunk edges equal the reference", async () => {
  const reference = await readReference("long-context");
  const { input_ids, rows, logit_std } = reference as unknown as {
    input_ids: number[];
    rows: number[];
    logit_std: number;
  };
  const want = reference.tensors.get("logits.rows")!;
  await using model = await loadModel(join(fixturesDir, "models", "long-context"), {
    precision: "exact",
  });
  const width = model.info.vocabularySize;
  const got = await model.logits(input_ids);
  let flipped = false;
  rows.forEach((row, index) => {
    const difference = compare(
      got.subarray(row * width, (row + 1) * width),
      want.subarray(index * width, (index + 1) * width),
      width,
    );
    expect(difference.relativeL2).toBeLessThan(5e-2);
    flipped ||= difference.largest > 2e-4 * logit_std * 10;
    if (row < 32) expect(flipped).toBe(false);
  });
}, 60_000);

test("long context: greedy tokens after 3,000 follow the reference while its margin is wide", async () => {
  const { input_ids, greedy_16, greedy_margins } = (await readReference(
    "long-context",
  )) as unknown as { input_ids: number[]; greedy_16: number[]; greedy_margins: number[] };
  await using model = await loadModel(join(fixturesDir, "models", "long-context"), {
    precision: "exact",
  });
  const tokens: (number | null)[] = [];
  const options = { temperature: 0, ignoreEos: true, maxTokens: 16 };
  for await (const piece of model.generate(input_ids, options)) tokens.push(piece.token);
  expect(tokens).toHaveLength(16);
  const narrow = greedy_margins.findIndex((margin) => margin < 0.01);
  const sure = narrow < 0 ? greedy_16.length : narrow;
  expect(tokens.slice(0, sure)).toEqual(greedy_16.slice(0, sure));
}, 60_000);
