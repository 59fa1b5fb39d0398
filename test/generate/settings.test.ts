/** Options and defaults to settings: what is filled in, what is refused. */
import { expect, test } from "bun:test";
import { BitNetError } from "../../src/errors/index.ts";
import {
  type GenerateOptions,
  type GenerationDefaults,
  readGenerationConfig,
  resolveSettings,
} from "../../src/generate/index.ts";

const storyteller: GenerationDefaults = {
  sample: true,
  temperature: 0.8,
  topP: 0.95,
  eosTokens: [0, 9],
};

function refusalOf(run: () => unknown): BitNetError {
  try {
    run();
  } catch (error) {
    if (error instanceof BitNetError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

test("resolveSettings: without options and defaults it is greedy and unbounded", () => {
  const settings = resolveSettings();
  expect(settings).toMatchObject({
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
    typicalP: 1,
    repetitionPenalty: 1,
    noRepeatNgram: 0,
    stop: [],
    stopTokens: [],
    maxTokens: Number.POSITIVE_INFINITY,
    slide: false,
  });
  expect(settings.signal).toBeUndefined();
});

test("resolveSettings: a sampling model brings its numbers, and an option overrides one", () => {
  expect(resolveSettings({}, storyteller)).toMatchObject({ temperature: 0.8, topP: 0.95 });
  const bolder = resolveSettings({ temperature: 0.2, topK: 5 }, storyteller);
  expect(bolder).toMatchObject({ temperature: 0.2, topK: 5, topP: 0.95 });
  expect(resolveSettings({ temperature: 0 }, storyteller).temperature).toBe(0);
});

test("resolveSettings: a greedy model samples only when the caller asks for it", () => {
  const greedy: GenerationDefaults = { sample: false, temperature: 0.6, eosTokens: [] };
  expect(resolveSettings({}, greedy).temperature).toBe(0);
  expect(resolveSettings({ seed: 1, repetitionPenalty: 1.2 }, greedy).temperature).toBe(0);
  expect(resolveSettings({ temperature: 0.9 }, greedy).temperature).toBe(0.9);
  expect(resolveSettings({ topP: 0.9 }, greedy).temperature).toBe(0.6);
  expect(resolveSettings({ topK: 4 }).temperature).toBe(1);
});

test("resolveSettings: stop tokens are the model's and the caller's, each once", () => {
  expect(resolveSettings({ stopTokens: [9, 3] }, storyteller).stopTokens).toEqual([0, 9, 3]);
  const ignoring = resolveSettings({ stopTokens: [3], ignoreEos: true }, storyteller);
  expect(ignoring.stopTokens).toEqual([3]);
  expect(resolveSettings({ stop: "\n\n" }).stop).toEqual(["\n\n"]);
  expect(resolveSettings({ stop: ["a", "b"] }).stop).toEqual(["a", "b"]);
});

test("resolveSettings: the result cannot be changed", () => {
  const settings = resolveSettings({ stop: "x" }, storyteller);
  expect(Object.isFrozen(settings)).toBe(true);
  expect(Object.isFrozen(settings.stop)).toBe(true);
  expect(Object.isFrozen(settings.stopTokens)).toBe(true);
});

const refused: [keyof GenerateOptions, unknown[]][] = [
  ["temperature", [Number.NaN, -0.1, Number.POSITIVE_INFINITY, 101, "1", null]],
  ["topK", [-1, 1.5, Number.NaN, 2 ** 24 + 1]],
  ["topP", [0, -0.5, 1.01, Number.NaN]],
  ["minP", [-0.1, 1.1, Number.NaN]],
  ["typicalP", [0, 1.5, Number.NaN]],
  ["repetitionPenalty", [0, -1, Number.NaN, 1e30]],
  ["noRepeatNgram", [-1, 2.5]],
  ["seed", [-1, 1.5, 2 ** 53, -1n, 2n ** 64n, Number.NaN, "7"]],
  ["stop", ["", [""], [3], 3, "\ud800", ["a", ""]]],
  ["stopTokens", [[-1], [1.5], [2 ** 31], 3, ["a"]]],
  ["maxTokens", [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]],
  ["ignoreEos", ["yes", 1, null]],
  ["slide", [0]],
  ["signal", [{}, true]],
];

for (const [name, values] of refused) {
  test(`resolveSettings: a wrong ${name} is refused by name with what is allowed`, () => {
    for (const value of values) {
      const options = { [name]: value } as GenerateOptions;
      const error = refusalOf(() => resolveSettings(options));
      expect(error.code).toBe("generate/invalid-option");
      expect(error.message).toMatch(new RegExp(`^option ${name}: expected .+, got .+`));
    }
  });
}

test("resolveSettings: a message says what came and what is allowed", () => {
  const error = refusalOf(() => resolveSettings({ temperature: Number.NaN }));
  expect(error.message).toBe("option temperature: expected a number from 0 to 100, got NaN");
  const long = refusalOf(() => resolveSettings({ seed: "9".repeat(9999) as unknown as number }));
  expect(long.message.length).toBeLessThan(300);
});

test("readGenerationConfig: reads numbers, one end token or several, and passes null over", () => {
  const config = {
    do_sample: true,
    temperature: 0.6,
    top_p: 0.9,
    top_k: null,
    eos_token_id: [491, 499],
    max_length: 4096,
    transformers_version: "4.52.0",
  };
  expect(readGenerationConfig(config, "g.json")).toEqual({
    sample: true,
    temperature: 0.6,
    topP: 0.9,
    eosTokens: [491, 499],
  });
  expect(readGenerationConfig({ eos_token_id: 2 }, "g.json")).toEqual({
    sample: false,
    eosTokens: [2],
  });
  expect(readGenerationConfig({}, "g.json")).toEqual({ sample: false, eosTokens: [] });
  const all = { min_p: 0.1, typical_p: 0.9, repetition_penalty: 1.1, no_repeat_ngram_size: 3 };
  expect(readGenerationConfig(all, "g.json")).toMatchObject({
    minP: 0.1,
    typicalP: 0.9,
    repetitionPenalty: 1.1,
    noRepeatNgram: 3,
  });
});

test("readGenerationConfig: a wrong value is refused with its file and key", () => {
  const cases: [string, unknown][] = [
    ["do_sample", "yes"],
    ["temperature", -1],
    ["temperature", "hot"],
    ["top_p", 1.5],
    ["top_k", 0.5],
    ["eos_token_id", -1],
    ["eos_token_id", "</s>"],
    ["eos_token_id", [1, null]],
  ];
  for (const [key, value] of cases) {
    const error = refusalOf(() => readGenerationConfig({ [key]: value }, "m/g.json"));
    expect(error.code).toBe("generate/invalid-config");
    expect(error.message).toStartWith(`m/g.json, ${key}: expected `);
  }
});
