/**
 * Settings as the rows the core's sampling kernels read, in the columns its ABI names.
 */
import { RandomWord, SamplingColumn } from "../native/index.ts";
import { seedWords } from "./seed.ts";
import type { GenerateSettings } from "./types.ts";

/** The smallest top-p that survives f32; a smaller one keeps one token just the same. */
const shareMin = 2 ** -126;

/** A row of sampling parameters, f32 (columns). */
export function samplingRow(settings: GenerateSettings): Float32Array<ArrayBuffer> {
  const row = new Float32Array(Object.keys(SamplingColumn).length);
  row[SamplingColumn.temperature] = settings.temperature;
  row[SamplingColumn.top_k] = settings.topK;
  row[SamplingColumn.top_p] = Math.max(settings.topP, shareMin);
  row[SamplingColumn.min_p] = settings.minP;
  row[SamplingColumn.typical_p] = Math.max(settings.typicalP, shareMin);
  row[SamplingColumn.repetition_penalty] = settings.repetitionPenalty;
  row[SamplingColumn.no_repeat_ngram] = settings.noRepeatNgram;
  return row;
}

/**
 * The random state of a sequence before its first draw, u32 (words). Sequences of one seed that
 * differ in `sequence` draw independently.
 */
export function randomRow(seed: bigint, sequence: number): Uint32Array<ArrayBuffer> {
  const row = new Uint32Array(Object.keys(RandomWord).length);
  const [low, high] = seedWords(seed);
  row[RandomWord.seed_low] = low;
  row[RandomWord.seed_high] = high;
  row[RandomWord.sequence] = sequence;
  return row;
}
