/** The line that says how fast it was, and on what. */
import type { GenerationStats } from "../engine/index.ts";
import { coreInfo } from "../native/index.ts";
import { formatSeconds, plural } from "./format.ts";

/** `120 tokens in 0.41 s: 292 tokens/s (prompt 5 tokens, 12 ms; first token after 15 ms; ...)`. */
export function speedLine(stats: GenerationStats): string {
  const { promptTokens, promptSeconds, tokens, seconds, firstTokenSeconds } = stats;
  const { isa, threads } = coreInfo();
  const parts = [
    `prompt ${plural(promptTokens, "token")}, ${formatSeconds(promptSeconds)}`,
    `first token after ${formatSeconds(firstTokenSeconds)}`,
    `${isa}, ${plural(threads, "thread")}`,
  ];
  return (
    `${plural(tokens, "token")} in ${formatSeconds(seconds)}: ` +
    `${tokensPerSecond(stats)} tokens/s (${parts.join("; ")})`
  );
}

/** Generated tokens a second, in three digits. */
export function tokensPerSecond({ tokens, seconds }: GenerationStats): number {
  const speed = seconds > 0 ? tokens / seconds : 0;
  return speed >= 100 ? Math.round(speed) : Number(speed.toPrecision(3));
}
