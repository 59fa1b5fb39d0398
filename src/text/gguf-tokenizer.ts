/**
 * The tokenizer a GGUF file carries in its metadata, written as the tokenizer.json it came from:
 * byte-level BPE (`gpt2`) with a named pre-tokenizer, or SentencePiece BPE by scores (`llama`).
 *
 * GGUF names the pre-tokenizer and leaves its rules to the reader. A name we do not know is
 * refused: another rule would split words another way and the model would speak gibberish.
 * Source: gguf.md and src/llama-vocab.cpp of ggml-org/llama.cpp.
 */
import { BitNetError } from "../errors/index.ts";
import { gpt2PreTokenizers } from "./gguf-pre-tokenizers.ts";
import { inShort, type JsonObject, refuseShape } from "./json-shape.ts";
import { mergesByScore } from "./sentence-piece.ts";
import { createTokenizer } from "./tokenizer.ts";
import type { Tokenizer } from "./types.ts";

/** Metadata as `checkpoint` reads it, by key. */
export type GgufMetadata = ReadonlyMap<string, unknown>;

/** The key under which a file may carry its tokenizer.json whole. */
export const tokenizerJsonKey = "tokenizer.huggingface.json";

/** Source: `llama_token_type` in include/llama.h of ggml-org/llama.cpp. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 };

/**
 * Makes a tokenizer of the metadata of a GGUF file; `name` is what errors call the file.
 * @throws BitNetError text/missing-tokenizer, text/unknown-pre-tokenizer, text/invalid-tokenizer
 */
export function tokenizerFromGguf(metadata: GgufMetadata, name = "GGUF metadata"): Tokenizer {
  const reader = new MetadataReader(metadata, name);
  const json = reader.optionalText(tokenizerJsonKey);
  if (json !== undefined && !metadata.has("tokenizer.ggml.model")) return fromJson(reader, json);
  const model = reader.text("tokenizer.ggml.model");
  const vocabulary = readTokens(reader);
  const isByteLevel = model === "gpt2";
  if (!isByteLevel && model !== "llama") {
    throw new BitNetError(
      "text/unsupported-tokenizer",
      `${name}: tokenizer.ggml.model is ${inShort(model)}, expected "gpt2" or "llama"`,
    );
  }
  const rules = isByteLevel
    ? byteLevelRules(reader, vocabulary)
    : sentencePieceRules(reader, vocabulary);
  const template = reader.optionalText("tokenizer.chat_template");
  return createTokenizer({
    name,
    tokenizerJson: {
      added_tokens: vocabulary.added,
      post_processor: postProcessor(reader, vocabulary.tokens),
      ...rules,
    },
    bosId: reader.optionalId("bos_token_id", vocabulary.tokens.length) ?? null,
    eosIds: eosIdsOf(reader, vocabulary),
    modelVocabularySize: vocabulary.tokens.length,
    ...(template !== undefined && { chatTemplate: template }),
  });
}

/** A tokenizer.json, with the ids that begin and end a text beside it. */
function fromJson(reader: MetadataReader, json: string): Tokenizer {
  const ids = ["bos_token_id", "eos_token_id", "eot_token_id", "eom_token_id"];
  const [bosId, ...eosIds] = ids.map((key) => reader.optionalId(key, Number.MAX_SAFE_INTEGER));
  const architecture = reader.optionalText("general.architecture");
  const size = reader.metadata.get(`${architecture}.vocab_size`);
  const template = reader.optionalText("tokenizer.chat_template");
  return createTokenizer({
    name: reader.name,
    tokenizerJson: parseJson(reader, json),
    bosId: bosId ?? null,
    eosIds: eosIds.filter((id) => id !== undefined),
    ...(typeof size === "number" && { modelVocabularySize: size }),
    ...(template !== undefined && { chatTemplate: template }),
  });
}

function parseJson(reader: MetadataReader, json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return refuseShape(`${reader.name}, ${tokenizerJsonKey}`, "JSON", json);
  }
}

interface GgufVocabulary {
  tokens: readonly string[];
  scores: ArrayLike<number> | undefined;
  /** Tokens that text is made of, without those that only fill the table up. */
  vocab: Record<string, number>;
  added: JsonObject[];
}

function readTokens(reader: MetadataReader): GgufVocabulary {
  const tokens = reader.texts("tokenizer.ggml.tokens");
  const types = reader.optionalNumbers("tokenizer.ggml.token_type", tokens.length);
  const scores = reader.optionalNumbers("tokenizer.ggml.scores", tokens.length);
  // Without a prototype, so that "__proto__" is a token like any other.
  const vocab: Record<string, number> = Object.create(null);
  const added: JsonObject[] = [];
  for (const [id, token] of tokens.entries()) {
    const type = types?.[id] ?? tokenTypes.normal;
    if (type === tokenTypes.unused || token === "") continue;
    const twin = vocab[token];
    if (twin !== undefined) reader.refuseTwins(token, [twin, id]);
    vocab[token] = id;
    const isSpecial = type === tokenTypes.control || type === tokenTypes.unknown;
    if (isSpecial || type === tokenTypes.userDefined) {
      added.push({ id, content: token, normalized: false, special: isSpecial });
    }
  }
  return { tokens, scores, vocab, added };
}

function byteLevelRules(reader: MetadataReader, { vocab }: GgufVocabulary): JsonObject {
  const pre = reader.optionalText("tokenizer.ggml.pre");
  const rule = gpt2PreTokenizers.get(pre ?? "");
  if (rule === undefined) {
    const known = [...gpt2PreTokenizers.keys()].join(", ");
    throw new BitNetError(
      "text/unknown-pre-tokenizer",
      `${reader.name}: tokenizer.ggml.pre is ${inShort(pre)}, expected one of ${known}; ` +
        "use the model's tokenizer.json instead",
    );
  }
  return {
    normalizer: null,
    pre_tokenizer: rule.preTokenizer,
    decoder: { type: "ByteLevel" },
    model: {
      type: "BPE",
      ignore_merges: rule.ignoreMerges,
      vocab,
      merges: reader.texts("tokenizer.ggml.merges"),
    },
  };
}

function sentencePieceRules(
  reader: MetadataReader,
  { tokens, scores, vocab, added }: GgufVocabulary,
): JsonObject {
  if (scores === undefined) {
    refuseShape(`${reader.name}, tokenizer.ggml.scores`, "a score for each token", undefined);
  }
  const isPrefixed = reader.flag("add_space_prefix") ?? true;
  const unknownId = reader.optionalId("unknown_token_id", tokens.length);
  const mark = { type: "Replace", pattern: { String: " " }, content: "\u2581" };
  const strip = { type: "Strip", content: " ", start: 1, stop: 0 };
  return {
    normalizer: {
      type: "Sequence",
      normalizers: isPrefixed ? [{ type: "Prepend", prepend: "\u2581" }, mark] : [mark],
    },
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "\u2581" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(isPrefixed ? [strip] : []),
      ],
    },
    model: {
      type: "BPE",
      fuse_unk: true,
      byte_fallback: true,
      unk_token: unknownId === undefined ? null : tokens[unknownId],
      vocab,
      merges: mergesByScore({ vocab, scores, outside: new Set(added.map((one) => one.content)) }),
    },
  };
}

/** Which ids stand around a text. Where the file is silent, BOS belongs to SentencePiece. */
function postProcessor(reader: MetadataReader, tokens: readonly string[]): JsonObject | null {
  const isSentencePiece = reader.text("tokenizer.ggml.model") === "llama";
  const rule = gpt2PreTokenizers.get(reader.optionalText("tokenizer.ggml.pre") ?? "");
  const isBosAdded = reader.flag("add_bos_token") ?? (isSentencePiece || (rule?.addsBos ?? false));
  const isEosAdded = reader.flag("add_eos_token") ?? false;
  const bosId = isBosAdded ? reader.optionalId("bos_token_id", tokens.length) : undefined;
  const eosId = isEosAdded ? reader.optionalId("eos_token_id", tokens.length) : undefined;
  if (bosId === undefined && eosId === undefined) return null;
  const special = (id: number | undefined, typeId: number): JsonObject[] =>
    id === undefined ? [] : [{ SpecialToken: { id: String(id), type_id: typeId } }];
  const around = (text: "A" | "B", typeId: number): JsonObject[] => [
    ...special(bosId, typeId),
    { Sequence: { id: text, type_id: typeId } },
    ...special(eosId, typeId),
  ];
  const ids = [bosId, eosId].filter((id) => id !== undefined);
  return {
    type: "TemplateProcessing",
    single: around("A", 0),
    pair: [...around("A", 0), ...around("B", 1)],
    special_tokens: Object.fromEntries(ids.map((id) => [String(id), { ids: [id] }])),
  };
}

/**
 * Ends of a turn by their text: most files name the end of text alone, and a chat would not stop.
 */
const turnEnds = ["<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>"];

function eosIdsOf(reader: MetadataReader, { tokens, added }: GgufVocabulary): number[] {
  const named = ["eos_token_id", "eot_token_id", "eom_token_id"].map((key) =>
    reader.optionalId(key, tokens.length),
  );
  const ends = added.filter((one) => one.special === true && turnEnds.includes(`${one.content}`));
  const ids = [...named.filter((id) => id !== undefined), ...ends.map((one) => Number(one.id))];
  return [...new Set(ids)];
}

/** Metadata by key, each value checked for its kind. */
class MetadataReader {
  readonly name: string;
  readonly metadata: GgufMetadata;

  constructor(metadata: GgufMetadata, name: string) {
    this.metadata = metadata;
    this.name = name;
  }

  text(key: string): string {
    const value = this.optionalText(key);
    if (value !== undefined) return value;
    throw new BitNetError(
      "text/missing-tokenizer",
      `${this.name}: expected the key ${key}, got none; the file carries no tokenizer`,
    );
  }

  /** One text, two ids: encoding could not know which of them is meant. */
  refuseTwins(token: string, ids: [number, number]): never {
    throw new BitNetError(
      "text/invalid-vocabulary",
      `${this.name}: the ids ${ids.join(" and ")} stand for the same token ${inShort(token)}`,
    );
  }

  optionalText(key: string): string | undefined {
    const value = this.metadata.get(key);
    if (value === undefined || typeof value === "string") return value;
    refuseShape(`${this.name}, ${key}`, "a text", value);
  }

  texts(key: string): string[] {
    const value = this.metadata.get(key);
    const isTexts = Array.isArray(value) && value.every((one) => typeof one === "string");
    return isTexts ? value : refuseShape(`${this.name}, ${key}`, "a list of texts", value);
  }

  optionalNumbers(key: string, count: number): ArrayLike<number> | undefined {
    const value = this.metadata.get(key);
    if (value === undefined) return undefined;
    const isNumbers = isNumberArray(value) && value.length === count;
    return isNumbers
      ? value
      : refuseShape(`${this.name}, ${key}`, `${count} numbers`, typeof value);
  }

  /** A key of `tokenizer.ggml.` that holds yes or no. */
  flag(key: string): boolean | undefined {
    const value = this.metadata.get(`tokenizer.ggml.${key}`);
    if (value === undefined || typeof value === "boolean") return value;
    refuseShape(`${this.name}, tokenizer.ggml.${key}`, "true or false", value);
  }

  /** A key of `tokenizer.ggml.` that holds a token id. */
  optionalId(key: string, tokenCount: number): number | undefined {
    const value = this.metadata.get(`tokenizer.ggml.${key}`);
    if (value === undefined) return undefined;
    const isId = Number.isInteger(value) && Number(value) >= 0 && Number(value) < tokenCount;
    if (isId) return Number(value);
    refuseShape(`${this.name}, tokenizer.ggml.${key}`, `an id below ${tokenCount}`, value);
  }
}

function isNumberArray(value: unknown): value is ArrayLike<number> {
  return (
    value instanceof Int32Array || value instanceof Uint32Array || value instanceof Float32Array
  );
}
