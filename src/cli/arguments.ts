/**
 * Checks the arguments of a command before anything runs: unknown options, options without their
 * value, too few or too many positional ones. citty takes all of these without a word.
 */
import { parseArgs } from "node:util";
import type { ArgDef, ArgsDef } from "citty";
import { BitNetError } from "../errors/index.ts";
import { didYouMean } from "./did-you-mean.ts";

/** What the check needs to know of a command. */
export interface ArgumentRules {
  name: string;
  args: ArgsDef;
  /** Whether words past the last positional argument are welcome. */
  joinsWords: boolean;
}

/** Positional words, and every value that each option came with. */
export interface CheckedArguments {
  words: string[];
  values: Map<string, string[]>;
}

/** @throws BitNetError cli/unknown-option, cli/missing-value, cli/missing-argument and others */
export function checkArguments(rawArgs: readonly string[], rules: ArgumentRules): CheckedArguments {
  const options = optionsOf(rules.args);
  const { tokens } = parseArgs({
    args: [...rawArgs],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      [...options].map(([name, { type, short }]) => [name, { type, ...(short && { short }) }]),
    ),
  });
  const checked: CheckedArguments = { words: [], values: new Map() };
  for (const token of tokens) {
    if (token.kind === "positional") checked.words.push(token.value);
    if (token.kind !== "option") continue;
    const value = checkOption(token, { options, command: rules.name });
    if (value === undefined) continue;
    checked.values.set(token.name, [...(checked.values.get(token.name) ?? []), value]);
  }
  checkWords(checked.words, rules);
  return checked;
}

/** The arguments without the values that options have which may do without one. */
export function withoutOptionalValues(rawArgs: readonly string[], args: ArgsDef): string[] {
  const options = optionsOf(args);
  return rawArgs.map((arg) => {
    const name = /^--([^=]+)=/.exec(arg)?.[1];
    return name !== undefined && options.get(name)?.mayHaveValue === true ? `--${name}` : arg;
  });
}

/**
 * The number an option stands for; undefined when the option is absent.
 * @throws BitNetError cli/invalid-value
 */
export function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new BitNetError(
    "cli/invalid-value",
    `--${option}: expected a number, got ${JSON.stringify(text)}`,
  );
}

/** As `numberOf`, for counts and ids. @throws BitNetError cli/invalid-value */
export function integerOf(
  option: string,
  text: string | undefined,
  { low = 0 }: { low?: number } = {},
): number | undefined {
  const value = numberOf(option, text);
  if (value === undefined || (Number.isSafeInteger(value) && value >= low)) return value;
  throw new BitNetError(
    "cli/invalid-value",
    `--${option}: expected a whole number from ${low} on, got ${JSON.stringify(text)}`,
  );
}

interface Option {
  type: "boolean" | "string";
  short?: string;
  /** A boolean one with a hint: `--report`, or `--report=file`. */
  mayHaveValue: boolean;
}

interface OptionToken {
  name: string;
  rawName: string;
  value?: string | undefined;
  inlineValue?: boolean | undefined;
}

/** Every spelling of every option; one-letter aliases are short ones. What is on is turned off. */
function optionsOf(args: ArgsDef): Map<string, Option> {
  const options = new Map<string, Option>();
  for (const [name, definition] of Object.entries(args)) {
    if (definition.type === "positional") continue;
    if (definition.type === "boolean" && definition.default === true) {
      options.set(`no-${name}`, { type: "boolean", mayHaveValue: false });
      continue;
    }
    const type = definition.type === "boolean" ? "boolean" : "string";
    const short = aliasesOf(definition).find((alias) => alias.length === 1);
    const mayHaveValue = type === "boolean" && definition.valueHint !== undefined;
    options.set(name, { type, mayHaveValue, ...(short !== undefined && { short }) });
  }
  return options;
}

function aliasesOf(definition: ArgDef): string[] {
  const alias = "alias" in definition ? definition.alias : undefined;
  return alias === undefined ? [] : [alias].flat();
}

function checkOption(
  { name, rawName, value, inlineValue }: OptionToken,
  { options, command }: { options: Map<string, Option>; command: string },
): string | undefined {
  const option = options.get(name);
  if (option === undefined) {
    const known = [...options.keys()].map((one) => `--${one}`);
    throw new BitNetError(
      "cli/unknown-option",
      `unknown option ${rawName}${didYouMean(rawName, known)}; ` +
        `\`bitnet ${command} --help\` lists the options`,
    );
  }
  if (option.type === "boolean") {
    if (value === undefined) return undefined;
    if (option.mayHaveValue && value !== "") return value;
    throw new BitNetError("cli/invalid-value", `${rawName} takes no value, got "${value}"`);
  }
  const isOption = inlineValue !== true && value?.startsWith("--") && options.has(value.slice(2));
  if (value !== undefined && !isOption) return value;
  const got = value === undefined ? "nothing" : `the option ${value}`;
  throw new BitNetError("cli/missing-value", `${rawName}: expected a value, got ${got}`);
}

function checkWords(words: readonly string[], { name, args, joinsWords }: ArgumentRules): void {
  const positional = Object.entries(args).filter(([, { type }]) => type === "positional");
  const missing = positional.slice(words.length).find(([, { required }]) => required !== false);
  if (missing !== undefined) {
    throw new BitNetError(
      "cli/missing-argument",
      `bitnet ${name}: expected ${missing[0].toUpperCase()}, got nothing; ` +
        `\`bitnet ${name} --help\` shows examples`,
    );
  }
  if (joinsWords || words.length <= positional.length) return;
  throw new BitNetError(
    "cli/unexpected-argument",
    `bitnet ${name}: expected at most ${positional.length} arguments, got ${words.length}: ` +
      `${JSON.stringify(words[positional.length])} is one too many; put quotes around spaces`,
  );
}
