/**
 * Patterns in how memory was used over time, each with a confidence and a suggestion. Confidence is
 * effect * n / (n + 16): `effect`, 0 to 1, is how clearly the pattern stands out (defined at each
 * kind), n the number of samples that speak for it. What stays below 0.5 is not told.
 */
import type { Evidence, Pattern, PatternSource } from "./pattern.ts";
import { findDevicePatterns, findSizePatterns } from "./patterns-of-size.ts";
import { findBursts, findFragmentationTrend, findLeak, findPeriod } from "./patterns-over-time.ts";

/** What is left out below it. */
const confidenceMin = 0.5;
/** So many samples make half of the confidence that endless ones would. */
const samplesForHalf = 16;

/** All patterns that stand out, most confident first. */
export function findPatterns({ samples, sizes = [], devices = [] }: PatternSource): Pattern[] {
  const found: (Evidence | undefined)[] = [
    findLeak(samples),
    findPeriod(samples) ?? findBursts(samples),
    findFragmentationTrend(samples),
    ...findSizePatterns(sizes),
    ...findDevicePatterns(devices, samples.length),
  ];
  return found
    .flatMap((evidence) => (evidence ? [weighed(evidence)] : []))
    .filter(({ confidence }) => confidence >= confidenceMin)
    .sort((a, b) => b.confidence - a.confidence);
}

function weighed({ effect, samples, ...rest }: Evidence): Pattern {
  return { ...rest, confidence: (effect * samples) / (samples + samplesForHalf) };
}
