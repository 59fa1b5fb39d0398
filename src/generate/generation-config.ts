/**
 * generation_config.json to the defaults of a model: sampling numbers and end-of-text tokens.
 * Null stands for absent, as transformers writes it; keys of no concern here are passed over.
 */
import { refuseConfig } from "./refuse.ts";
import { describeRange, isWithin, samplingNames, samplingRanges } from "./sampling-ranges.ts";
import type { GenerationDefaults } from "./types.ts";

/** The largest token id: ids are i32. */
export const tokenIdMax = 2 ** 31 - 1;

/**
 * Reads the parsed content of a generation_config.json; `{}` gives greedy and no end-of-text
 * token. `file` names it in messages.
 *
 * @throws BitNetError `generate/invalid-config` when a value has the wrong type or range.
 */
export function readGenerationConfig(
  config: Readonly<Record<string, unknown>>,
  file: string,
): GenerationDefaults {
  const sample = config.do_sample ?? false;
  if (typeof sample !== "boolean") {
    refuseConfig(`${file}, do_sample`, "true or false", sample);
  }
  const defaults: GenerationDefaults = { sample, eosTokens: eosTokensOf(config, file) };
  for (const name of samplingNames) {
    const range = samplingRanges[name];
    const value = config[range.configName] ?? undefined;
    if (value === undefined) continue;
    if (!isWithin(value, range)) {
      refuseConfig(`${file}, ${range.configName}`, describeRange(range), value);
    }
    defaults[name] = value;
  }
  return defaults;
}

function eosTokensOf(config: Readonly<Record<string, unknown>>, file: string): number[] {
  const value = config.eos_token_id ?? [];
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  return ids.map((id) =>
    isWithin(id, { low: 0, high: tokenIdMax, integer: true })
      ? id
      : refuseConfig(`${file}, eos_token_id`, "a token id or a list of them", id),
  );
}
