/** The options that `run` and `chat` share: how to load a model and how to choose its tokens. */
import { join } from "node:path";
import type { ArgsDef } from "citty";
import { type LoadOptions, tuningFileName } from "../engine/index.ts";
import { BitNetError } from "../errors/index.ts";
import type { GenerateOptions } from "../generate/index.ts";
import { integerOf, numberOf } from "./arguments.ts";
import { cacheDir, packingWish } from "./environment.ts";
import type { OpenOptions } from "./open-model.ts";

/** Options of a generation. */
export const samplingArgs = {
  "max-tokens": {
    type: "string",
    alias: "n",
    valueHint: "count",
    description: "At most this many tokens",
  },
  temperature: {
    type: "string",
    alias: "t",
    valueHint: "number",
    description: "0: always the likeliest word; below 1 bolder, above more varied",
  },
  "top-k": { type: "string", valueHint: "count", description: "Keep the k likeliest tokens" },
  "top-p": { type: "string", valueHint: "share", description: "Keep this much probability" },
  "min-p": {
    type: "string",
    valueHint: "share",
    description: "Keep tokens at least this likely beside the likeliest",
  },
  "repetition-penalty": {
    type: "string",
    valueHint: "number",
    description: "Above 1: words that came already are less likely",
  },
  seed: {
    type: "string",
    alias: "s",
    valueHint: "integer",
    description: "The same seed gives the same text",
  },
  stop: {
    type: "string",
    valueHint: "text",
    description: "End before this text; may come several times",
  },
  "ignore-eos": { type: "boolean", description: "Go on past the end of the text" },
  slide: { type: "boolean", description: "Forget the oldest words on a full context and go on" },
} as const satisfies ArgsDef;

/** Options of loading a model. */
export const loadingArgs = {
  threads: { type: "string", valueHint: "count", description: "Threads; all processors if absent" },
  context: { type: "string", valueHint: "tokens", description: "Length of the context" },
  precision: {
    type: "enum",
    options: ["fast", "exact"],
    default: "fast",
    description: "exact: reference values, slower",
  },
  packing: {
    type: "enum",
    options: ["auto", "tile2", "tile3"],
    description: "Of weights in memory: two bits, base 3, or the faster",
  },
  "i2s-layout": {
    type: "enum",
    options: ["128", "64"],
    description: "Block of I2_S files; 64 for those written on an ARM host",
  },
  "hidden-act": {
    type: "enum",
    options: ["relu2", "silu"],
    description: "Activation of a GGUF model, where the rule guesses wrong",
  },
  revision: { type: "string", valueHint: "name", description: "Branch, tag or commit of the hub" },
  file: { type: "string", valueHint: "name.gguf", description: "Which file of a repository" },
  quiet: { type: "boolean", alias: "q", description: "Nothing but the text and errors" },
} as const satisfies ArgsDef;

/** Texts as they came, by option. */
type Texts<K extends string> = { readonly [name in K]?: string | undefined };

/** Generate options of the arguments. @throws BitNetError cli/invalid-value */
export function samplingOptions(
  args: Texts<Exclude<keyof typeof samplingArgs, "ignore-eos" | "slide">> & {
    "ignore-eos"?: boolean;
    slide?: boolean;
  },
  stops: readonly string[],
): GenerateOptions {
  return {
    temperature: numberOf("temperature", args.temperature),
    topK: integerOf("top-k", args["top-k"]),
    topP: numberOf("top-p", args["top-p"]),
    minP: numberOf("min-p", args["min-p"]),
    repetitionPenalty: numberOf("repetition-penalty", args["repetition-penalty"]),
    seed: seedOf(args.seed),
    maxTokens: integerOf("max-tokens", args["max-tokens"], { low: 1 }),
    ignoreEos: args["ignore-eos"],
    slide: args.slide,
    stop: stops.length === 0 ? undefined : stops,
  };
}

/** Open options of the arguments. @throws BitNetError cli/invalid-value */
export function openingOptions(
  args: Texts<Exclude<keyof typeof loadingArgs, "quiet" | "precision" | "packing">> & {
    quiet?: boolean | undefined;
    precision?: "fast" | "exact";
    packing?: "auto" | "tile2" | "tile3";
  },
  signal: AbortSignal,
): OpenOptions {
  const { revision, file, quiet = false, precision } = args;
  const load: LoadOptions = {
    precision,
    packing: args.packing ?? packingWish(),
    tuningFile: join(cacheDir(), tuningFileName),
  };
  const threads = integerOf("threads", args.threads, { low: 1 });
  const contextLength = integerOf("context", args.context, { low: 1 });
  if (threads !== undefined) load.threads = threads;
  if (contextLength !== undefined) load.contextLength = contextLength;
  if (args["i2s-layout"] !== undefined) load.i2sLayout = args["i2s-layout"] === "64" ? 64 : 128;
  if (args["hidden-act"] === "relu2" || args["hidden-act"] === "silu") {
    load.hiddenAct = args["hidden-act"];
  }
  return { load, quiet, signal, ...(revision && { revision }), ...(file && { file }) };
}

/** Seeds reach beyond the integers that a number holds. */
function seedOf(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,20}$/.test(text)) return BigInt(text);
  throw new BitNetError(
    "cli/invalid-value",
    `--seed: expected a whole number from 0 on, got ${JSON.stringify(text)}`,
  );
}
