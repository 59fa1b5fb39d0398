/**
 * The tokenizer of an opened checkpoint, whichever format it has: a folder's tokenizer files with
 * the ids that end a text from generation_config.json, or the metadata of a GGUF file.
 */
import type { Checkpoint, HfCheckpoint } from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import { tokenizerFromGguf } from "./gguf-tokenizer.ts";
import { refuseShape } from "./json-shape.ts";
import { createTokenizer } from "./tokenizer.ts";
import type { Tokenizer } from "./types.ts";

/** @throws BitNetError text/missing-tokenizer, or as `createTokenizer` and `tokenizerFromGguf` */
export function tokenizerOf(checkpoint: Checkpoint): Tokenizer {
  if (checkpoint.format === "gguf") return tokenizerFromGguf(checkpoint.metadata, checkpoint.path);
  const { tokenizerJson, tokenizerConfig, chatTemplate, config, path } = checkpoint;
  if (tokenizerJson === undefined) {
    throw new BitNetError(
      "text/missing-tokenizer",
      `${path}: expected a tokenizer.json, got none; fetch it from the model's page`,
    );
  }
  const size = config.vocab_size;
  return createTokenizer({
    name: `${path}/tokenizer.json`,
    tokenizerJson,
    eosIds: eosIdsOf(checkpoint),
    ...(tokenizerConfig !== undefined && { tokenizerConfig }),
    ...(chatTemplate !== undefined && { chatTemplate }),
    ...(Number.isSafeInteger(size) && { modelVocabularySize: Number(size) }),
  });
}

/** `eos_token_id` is one id or a list; config.json has it where there is no generation config. */
function eosIdsOf({ generationConfig, config, path }: HfCheckpoint): number[] {
  const value = generationConfig.eos_token_id ?? config.eos_token_id ?? [];
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  return ids.map((id) =>
    Number.isSafeInteger(id) && Number(id) >= 0
      ? Number(id)
      : refuseShape(`${path}, eos_token_id`, "token ids", id),
  );
}
