/** The help of the command and of its commands: what they are for, by example. */

import type { ArgDef, ArgsDef } from "citty";
import { version } from "../../package.json" with { type: "json" };
import type { CliCommand, Example } from "./command.ts";
import { commands } from "./commands.ts";
import { bold, table } from "./format.ts";

export { version };

const overviewExamples: readonly Example[] = [
  ["bitnet run", "the bundled model tells a story"],
  ['bitnet run "The wolf said"', "it goes on from your words"],
  ["bitnet run ./my-model --seed 7", "a model folder or .gguf file of yours"],
  ["bitnet chat microsoft/bitnet-b1.58-2B-4T", "talk with a model of the hub"],
  ["bitnet doctor", "what to do when something does not work"],
];

/** The help that `bitnet --help` prints. */
export function overviewHelp(): string {
  return sections([
    ["", [`bitnet ${version}: runs 1.58-bit language models on your own processor`]],
    ["Usage", ["  bitnet <command> [options]"]],
    ["Commands", table(Object.entries(commands).map(([name, { summary }]) => [name, summary]))],
    ["Examples", table(overviewExamples)],
    ["", ["`bitnet <command> --help` tells more; `bitnet --version` prints the version."]],
  ]);
}

/** The help that `bitnet <command> --help` prints. */
export function commandHelp(command: CliCommand): string {
  const entries = Object.entries(command.args);
  const words = entries.filter(([, { type }]) => type === "positional");
  const options = entries.filter(([, { type }]) => type !== "positional");
  return sections([
    ["", [command.description]],
    ["Usage", [`  ${["bitnet", command.name, ...words.map(placeOf), "[options]"].join(" ")}`]],
    ["Arguments", table(words.map(([name, { description }]) => [name, description ?? ""]))],
    ["Options", table([...options.flatMap(optionRows), ["-h, --help", "Print this help"]])],
    ["Examples", table(command.examples)],
    ["Notes", command.notes.map((note) => `  ${note}`)],
  ]);
}

function placeOf([name, { required }]: [string, ArgsDef[string]]): string {
  return required === false ? `[${name}]` : `<${name}>`;
}

/** Choices that would push all descriptions to the right stand below their option. */
const choiceMax = 32;

function optionRows([name, definition]: [string, ArgDef]): [string, string][] {
  const alias = "alias" in definition ? [definition.alias ?? []].flat() : [];
  const short = alias.filter((one) => one.length === 1).map((one) => `-${one}, `);
  const choices = ("options" in definition && definition.options) || [];
  const isLong = choices.join("|").length > choiceMax;
  const choice = choices.length > 0 && !isLong ? choices.join("|") : definition.valueHint;
  const hint = choice ?? (definition.type === "boolean" ? "" : "value");
  if (definition.default === true) return [[`--no-${name}`, aboutOf(definition)]];
  const shown = definition.type === "boolean" ? `[=${hint}]` : ` <${hint}>`;
  const option = `${short.join("")}--${name}${hint === "" ? "" : shown}`;
  const below = isLong ? linesOf(choices) : [];
  return [[option, aboutOf(definition)], ...below.map((line): [string, string] => ["", line])];
}

/** The choices with commas, in lines that fit beside the options. */
function linesOf(choices: readonly string[]): string[] {
  const lines: string[] = [];
  for (const choice of choices) {
    const last = lines.at(-1);
    const longer = `${last}, ${choice}`;
    if (last !== undefined && longer.length <= 56) lines[lines.length - 1] = longer;
    else lines.push(choice);
  }
  return lines.map((line, index) => (index < lines.length - 1 ? `${line},` : line));
}

function aboutOf({ description = "", default: preset }: ArgDef): string {
  return preset === undefined || typeof preset === "boolean"
    ? description
    : `${description} [${preset}]`;
}

function sections(parts: readonly (readonly [title: string, lines: readonly string[]])[]): string {
  return parts
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => [...(title === "" ? [] : [bold(title)]), ...lines].join("\n"))
    .join("\n\n");
}
