/** What a model writes, as it comes: text for people, JSON for scripts. */
import type { Generation } from "../engine/index.ts";
import type { FinishReason } from "../generate/index.ts";
import { endLine, printGenerated, printJson } from "./output.ts";
import { tokensPerSecond } from "./speed-line.ts";

/** Writes the text behind its prompt and ends the line. @throws OutputClosed, BitNetError */
export async function writeText(generation: Generation, prompt: string): Promise<void> {
  await printGenerated(prompt);
  for await (const { text } of generation) await printGenerated(text);
  await endLine();
}

/** Which model goes on from what; with `stream`, a line for each piece comes first. */
export interface JsonOptions {
  model: string;
  prompt: string;
  stream: boolean;
  /** What to tell besides, by name, once it is over. */
  reports: Readonly<Record<string, () => unknown>>;
}

/** Writes one JSON object with everything once it is over. @throws OutputClosed, BitNetError */
export async function writeJson(
  generation: Generation,
  { model, prompt, stream, reports }: JsonOptions,
): Promise<void> {
  let text = "";
  let finishReason: FinishReason | null = null;
  const tokens: number[] = [];
  for await (const piece of generation) {
    text += piece.text;
    finishReason = piece.finishReason;
    if (piece.token !== null) tokens.push(piece.token);
    if (stream) await printJson(piece);
  }
  const stats = { ...generation.stats, tokensPerSecond: tokensPerSecond(generation.stats) };
  const told = Object.entries(reports).map(([name, report]) => [name, report()]);
  const more = Object.fromEntries(told);
  await printJson({ model, prompt, text, tokens, finishReason, stats, ...more });
}
