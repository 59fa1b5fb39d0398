/**
 * Options and a model's defaults to settings in which nothing is left open. Every value is checked
 * here, since the core would take NaN or a negative count without a word.
 */
import { tokenIdMax } from "./generation-config.ts";
import { refuseOption } from "./refuse.ts";
import {
  describeRange,
  isWithin,
  type NumberRange,
  type SamplingName,
  samplingNames,
  samplingRanges,
} from "./sampling-ranges.ts";
import { resolveSeed } from "./seed.ts";
import type { GenerateOptions, GenerateSettings, GenerationDefaults } from "./types.ts";

const noDefaults: GenerationDefaults = { sample: false, eosTokens: [] };
const maxTokensRange: NumberRange = { low: 1, high: tokenIdMax, integer: true };
const tokenRange: NumberRange = { low: 0, high: tokenIdMax, integer: true };

/** Options that only make sense when sampling: any of them asks for it. */
const askingToSample: readonly SamplingName[] = ["topK", "topP", "minP", "typicalP"];

/**
 * Fills in what the options leave open from the model's defaults and checks everything.
 *
 * @throws BitNetError `generate/invalid-option`, naming the option, what is allowed and what came.
 */
export function resolveSettings(
  options: GenerateOptions = {},
  defaults: GenerationDefaults = noDefaults,
): GenerateSettings {
  const given = givenNumbers(options);
  const numbers = {} as Record<SamplingName, number>;
  for (const name of samplingNames) {
    numbers[name] = given[name] ?? defaults[name] ?? samplingRanges[name].neutral;
  }
  const samples = defaults.sample || askingToSample.some((name) => given[name] !== undefined);
  if (given.temperature === undefined && !samples) numbers.temperature = 0;

  const ignoreEos = flag("ignoreEos", options.ignoreEos);
  const eosTokens = ignoreEos ? [] : defaults.eosTokens;
  return Object.freeze({
    ...numbers,
    seed: resolveSeed(options.seed),
    stop: Object.freeze(stopTexts(options.stop)),
    stopTokens: Object.freeze([...new Set([...eosTokens, ...stopTokens(options.stopTokens)])]),
    maxTokens: maxTokens(options.maxTokens),
    slide: flag("slide", options.slide),
    signal: abortSignal(options.signal),
  });
}

function givenNumbers(options: GenerateOptions): Partial<Record<SamplingName, number>> {
  const given: Partial<Record<SamplingName, number>> = {};
  for (const name of samplingNames) {
    const value = options[name];
    if (value === undefined) continue;
    const range = samplingRanges[name];
    if (!isWithin(value, range)) refuseOption(name, describeRange(range), value);
    given[name] = value;
  }
  return given;
}

function flag(name: "ignoreEos" | "slide", value: unknown): boolean {
  if (value === undefined || typeof value === "boolean") return value ?? false;
  return refuseOption(name, "true or false", value);
}

function maxTokens(value: unknown): number {
  if (value === undefined) return Number.POSITIVE_INFINITY;
  if (isWithin(value, maxTokensRange)) return value;
  return refuseOption("maxTokens", describeRange(maxTokensRange), value);
}

function stopTexts(value: unknown): string[] {
  if (value === undefined) return [];
  const allowed = "a text or a list of texts, none empty, all valid Unicode";
  const texts: unknown[] = Array.isArray(value) ? value : [value];
  return texts.map((text) =>
    typeof text === "string" && text !== "" && text.isWellFormed()
      ? text
      : refuseOption("stop", allowed, text),
  );
}

function stopTokens(value: unknown): number[] {
  if (value === undefined) return [];
  const allowed = "a list of token ids";
  if (!Array.isArray(value)) return refuseOption("stopTokens", allowed, value);
  return value.map((id: unknown) =>
    isWithin(id, tokenRange) ? id : refuseOption("stopTokens", allowed, id),
  );
}

function abortSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  return refuseOption("signal", "an AbortSignal", value);
}
