/**
 * The sampling numbers: their names in options and in generation_config.json, what they may be,
 * and the value that turns each off.
 */

/** The options that are one number each and shape the distribution. */
export type SamplingName =
  | "temperature"
  | "topK"
  | "topP"
  | "minP"
  | "typicalP"
  | "repetitionPenalty"
  | "noRepeatNgram";

/** A bounded number; `lowExcluded` leaves the lower bound itself out. */
export interface NumberRange {
  low: number;
  high: number;
  integer?: boolean;
  lowExcluded?: boolean;
}

/** A sampling number's range, its name in generation_config.json, and what turns it off. */
export interface SamplingRange extends NumberRange {
  configName: string;
  neutral: number;
}

/** Counts travel as f32, which holds integers up to here exactly. */
const countMax = 2 ** 24;

export const samplingRanges: Readonly<Record<SamplingName, SamplingRange>> = {
  temperature: { configName: "temperature", low: 0, high: 100, neutral: 1 },
  topK: { configName: "top_k", low: 0, high: countMax, integer: true, neutral: 0 },
  topP: { configName: "top_p", low: 0, lowExcluded: true, high: 1, neutral: 1 },
  minP: { configName: "min_p", low: 0, high: 1, neutral: 0 },
  typicalP: { configName: "typical_p", low: 0, lowExcluded: true, high: 1, neutral: 1 },
  repetitionPenalty: { configName: "repetition_penalty", low: 0.01, high: 100, neutral: 1 },
  noRepeatNgram: {
    configName: "no_repeat_ngram_size",
    low: 0,
    high: countMax,
    integer: true,
    neutral: 0,
  },
};

export const samplingNames = Object.keys(samplingRanges) as readonly SamplingName[];

/** Whether `value` is a number of this range. NaN and infinities are in none. */
export function isWithin(value: unknown, range: NumberRange): value is number {
  if (typeof value !== "number" || !Number.isFinite(value)) return false;
  if (range.integer && !Number.isInteger(value)) return false;
  return (range.lowExcluded ? value > range.low : value >= range.low) && value <= range.high;
}

/** The range in words, for messages. */
export function describeRange({ low, high, integer, lowExcluded }: NumberRange): string {
  const kind = integer ? "an integer" : "a number";
  return lowExcluded ? `${kind} above ${low}, up to ${high}` : `${kind} from ${low} to ${high}`;
}
