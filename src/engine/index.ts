/** Running a model: loading, sessions, generating, chatting, logits. */

export type { MatrixPackings } from "../models/index.ts";
export { type Answer, Chat, type ChatOptions } from "./chat.ts";
export {
  type Converted,
  type ConvertOptions,
  type ConvertProgress,
  convertModel,
  inspectPackings,
} from "./convert.ts";
export { Generation, type GenerationStats } from "./generation.ts";
export type { ModelInfo } from "./info.ts";
export {
  type Inspection,
  inspectModel,
  type LoadOptions,
  type LoadProgress,
  loadModel,
} from "./load.ts";
export { formatSize, type MemoryEstimate } from "./memory.ts";
export { Model } from "./model.ts";
export { EnginePrograms, type EngineShape } from "./programs.ts";
export { type LogitsOptions, Session } from "./session.ts";
export { type TunedThreads, type TuneOptions, type TuneResult, tune } from "./tune.ts";
export { type PackingRates, type ThreadCounts, tuningFileName } from "./tuning-file.ts";
