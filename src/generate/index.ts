/** How text is generated: options and defaults to settings, seeds, stop texts, finish reasons. */
export { readGenerationConfig } from "./generation-config.ts";
export { randomRow, samplingRow } from "./rows.ts";
export { resolveSeed, seedWords } from "./seed.ts";
export { resolveSettings } from "./settings.ts";
export { StopScanner } from "./stop-scanner.ts";
export type {
  FinishReason,
  GenerateOptions,
  GenerateSettings,
  GenerationDefaults,
  Piece,
} from "./types.ts";
