/** Arguments are checked before anything runs, and every refusal names what to write instead. */
import { describe, expect, test } from "bun:test";
import type { ArgsDef } from "citty";
import { checkArguments, integerOf, numberOf } from "../../src/cli/arguments.ts";
import { defineCliCommand } from "../../src/cli/command.ts";
import { BitNetError } from "../../src/errors/index.ts";

const args = {
  model: { type: "positional" },
  prompt: { type: "positional", required: false },
  seed: { type: "string", alias: "s" },
  stop: { type: "string" },
  json: { type: "boolean" },
  echo: { type: "boolean", default: true },
} as const satisfies ArgsDef;

function check(...rawArgs: string[]) {
  return checkArguments(rawArgs, { name: "test", args, joinsWords: false });
}

function refusalOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof BitNetError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no refusal";
}

test("words keep their order and repeated options all their values", () => {
  const { words, values } = check("a", "--stop", "x", "b", "--stop=y", "-s", "7");
  expect(words).toEqual(["a", "b"]);
  expect(values.get("stop")).toEqual(["x", "y"]);
  expect(values.get("seed")).toEqual(["7"]);
});

test("what follows -- is words, whatever it looks like", () => {
  expect(check("--", "--json", "-s").words).toEqual(["--json", "-s"]);
});

test("a negative number is a value, an option of the command is not", () => {
  expect(check("m", "--seed", "-1").values.get("seed")).toEqual(["-1"]);
  expect(refusalOf(() => check("m", "--seed", "--json"))).toStartWith("cli/missing-value");
  expect(check("m", "--stop=--json").values.get("stop")).toEqual(["--json"]);
});

test("an option that is on has a negative alone", () => {
  expect(check("m", "--no-echo").words).toEqual(["m"]);
  expect(refusalOf(() => check("m", "--no-json"))).toStartWith("cli/unknown-option");
});

test("a command gets its arguments typed, and its exit code goes through", async () => {
  const seen: unknown[] = [];
  const command = defineCliCommand({
    name: "test",
    description: "",
    args,
    examples: [],
    run: async ({ args: { model, seed, echo, json }, valuesOf }) => {
      seen.push(model, seed, echo, json, valuesOf("stop"));
      return 3;
    },
  });
  const { signal } = new AbortController();
  const rawArgs = ["m", "--no-echo", "--stop", "a", "-s", "5"];
  expect(await command.run(rawArgs, signal)).toBe(3);
  expect(seen).toEqual(["m", "5", false, undefined, ["a"]]);
});

describe("refusals", () => {
  const cases: [string[], string][] = [
    [["m", "--sed", "1"], "cli/unknown-option: unknown option --sed (did you mean --seed?)"],
    [["m", "-x"], "cli/unknown-option: unknown option -x;"],
    [["m", "--seed"], "cli/missing-value: --seed: expected a value, got nothing"],
    [["m", "--json=yes"], 'cli/invalid-value: --json takes no value, got "yes"'],
    [[], "cli/missing-argument: bitnet test: expected MODEL, got nothing"],
    [["a", "b", "c"], "cli/unexpected-argument: bitnet test: expected at most 2 arguments, got 3"],
  ];
  test.each(cases)("%j", (rawArgs, refusal) => {
    expect(refusalOf(() => check(...rawArgs))).toStartWith(refusal);
  });
});

test("numbers are numbers, counts are whole ones from their lower end on", () => {
  expect(numberOf("temperature", "0.8")).toBe(0.8);
  expect(numberOf("temperature", undefined)).toBeUndefined();
  for (const text of ["", " ", "warm", "1,5", "NaN", "Infinity"]) {
    expect(refusalOf(() => numberOf("temperature", text))).toStartWith("cli/invalid-value");
  }
  expect(integerOf("max-tokens", "20", { low: 1 })).toBe(20);
  for (const text of ["0", "-3", "1.5", "1e99"]) {
    expect(refusalOf(() => integerOf("max-tokens", text, { low: 1 }))).toBe(
      `cli/invalid-value: --max-tokens: expected a whole number from 1 on, got "${text}"`,
    );
  }
});
