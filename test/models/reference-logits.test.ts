/**
 * Every family and format against its reference values, within the tolerances of the fixtures:
 * 2e-4 where no activation can round the other way under float noise; else 5e-2 in relative L2.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadModel } from "../../src/engine/index.ts";
import {
  compare,
  fixturesDir,
  ggufModels,
  huggingFaceModels,
  type ReferencePrompt,
  readReference,
} from "./reference.ts";

const vocabulary = 512;
const quietNoise = 1e-4;

function noiseOf(prompt: ReferencePrompt): number {
  return prompt["under_3e-7_noise"]?.max_abs ?? 0;
}

for (const name of huggingFaceModels) {
  describe(name, () => {
    const path = join(fixturesDir, "models", name);

    test("logits equal the reference", async () => {
      await using model = await loadModel(path, { precision: "exact" });
      const reference = await readReference(name);
      let close = 0;
      for (const [index, prompt] of reference.prompts.entries()) {
        const got = await model.logits(prompt.input_ids);
        const difference = compare(got, reference.tensors.get(`logits.${index}`)!, vocabulary);
        expect(difference.relativeL2).toBeLessThan(5e-2);
        expect(difference.largest).toBeLessThan(0.35);
        if (difference.largest < 2e-4) close += 1;
        if (noiseOf(prompt) < quietNoise) expect(difference.largest).toBeLessThan(2e-4);
      }
      expect(close / reference.prompts.length).toBeGreaterThanOrEqual(2 / 3);
    });

    test("greedy tokens equal the reference", async () => {
      await using model = await loadModel(path, { precision: "exact" });
      const reference = await readReference(name);
      for (const prompt of reference.prompts) {
        if (noiseOf(prompt) >= quietNoise && prompt.greedy_min_margin <= 0.1) continue;
        const want = prompt.greedy_32!;
        expect(await greedy(model, prompt.input_ids, want.length)).toEqual(want);
      }
    });

    test("the tokenizer gives the reference's ids", async () => {
      await using model = await loadModel(path);
      const reference = await readReference(name);
      for (const { text, input_ids } of reference.prompts) {
        expect(model.tokenizer.encode(text)).toEqual(input_ids);
      }
    });

    test("a stop token ends the answer and is part of it", async () => {
      await using model = await loadModel(path, { precision: "exact" });
      const { stop_case, prompts } = await readReference(name);
      if (!stop_case) return;
      const generation = model.generate(prompts[stop_case.prompt]!.input_ids, {
        temperature: 0,
        ignoreEos: true,
        stopTokens: [stop_case.eos_token_id],
        maxTokens: 32,
      });
      const tokens: (number | null)[] = [];
      let reason: string | null = null;
      for await (const piece of generation) {
        tokens.push(piece.token);
        reason = piece.finishReason;
      }
      expect(tokens).toEqual(stop_case.expected_new_tokens);
      expect(reason).toBe("stop");
    });
  });
}

for (const name of ggufModels) {
  describe(`${name}.gguf`, () => {
    const path = join(fixturesDir, "models", "gguf", `${name}.gguf`);

    test("logits and greedy tokens equal the reference", async () => {
      await using model = await loadModel(path, { precision: "exact" });
      const reference = await readReference(`gguf/${name}`);
      expect(model.info.activation).toBe(reference.hidden_act!);
      let close = 0;
      for (const [index, prompt] of reference.prompts.entries()) {
        expect(model.tokenizer.encode(prompt.text)).toEqual(prompt.input_ids);
        const got = await model.logits(prompt.input_ids);
        const difference = compare(got, reference.tensors.get(`logits.${index}`)!, vocabulary);
        expect(difference.relativeL2).toBeLessThan(5e-2);
        expect(difference.largest).toBeLessThan(0.35);
        if (difference.largest >= 2e-4) continue;
        close += 1;
        const want = prompt.greedy_16!;
        expect(await greedy(model, prompt.input_ids, want.length)).toEqual(want);
      }
      expect(close / reference.prompts.length).toBeGreaterThanOrEqual(2 / 3);
    });
  });
}

type Greedy = Awaited<ReturnType<typeof loadModel>>;

async function greedy(model: Greedy, ids: number[], count: number): Promise<(number | null)[]> {
  const options = { temperature: 0, ignoreEos: true, maxTokens: count };
  const tokens: (number | null)[] = [];
  for await (const piece of model.generate(ids, options)) tokens.push(piece.token);
  return tokens;
}
