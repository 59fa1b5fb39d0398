/**
 * A tokenizer.json as the encoding library (@huggingface/tokenizers 0.2) computes it rightly.
 *
 * What the library would take another way than the file means is rewritten into what it takes
 * the same way; what cannot be is refused by name. Semantics: huggingface/tokenizers (Rust).
 */
import {
  expectArray,
  expectObject,
  expectString,
  isObject,
  type JsonObject,
  refuseUnsupported,
} from "./json-shape.ts";

/** U+2581, which stands for a space in SentencePiece vocabularies. */
const spaceMark = "\u2581";

/** Source: openai/gpt-2, encoder.py; the library's own copy differs on U+0085 and U+FEFF. */
const gpt2Words =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const punctuation = "\\p{P}!-/:-@\\[-`{-~";

/** The JSON to give the library: each part present, post-processing left to us. */
export function encoderConfig(json: JsonObject, name: string): JsonObject {
  const model = modelConfig(json, name);
  const preTokenizer = rewrite(json.pre_tokenizer ?? null, `${name}, pre_tokenizer`, 0);
  checkAddedTokens(json, name);
  return {
    added_tokens: json.added_tokens ?? [],
    normalizer: checkNormalizer(json.normalizer ?? null, `${name}, normalizer`, 0),
    pre_tokenizer: model.type === "BPE" ? splitWords(preTokenizer, model) : preTokenizer,
    model,
    post_processor: null,
    decoder: null,
  };
}

function modelConfig(json: JsonObject, name: string): JsonObject {
  const model = expectObject(json.model, `${name}, model`);
  const type = model.type ?? guessType(model);
  const what = `${name}, model`;
  switch (type) {
    case "BPE":
      expectObject(model.vocab, `${what}, vocab`);
      expectArray(model.merges, `${what}, merges`);
      if (model.continuing_subword_prefix) {
        refuseUnsupported(`${what}, continuing_subword_prefix`, model.continuing_subword_prefix);
      }
      break;
    case "WordPiece":
      expectObject(model.vocab, `${what}, vocab`);
      break;
    case "Unigram":
      expectArray(model.vocab, `${what}, vocab`);
      if (model.byte_fallback === true) refuseUnsupported(what, "Unigram with byte_fallback");
      break;
    default:
      refuseUnsupported(`${what}, type`, type);
  }
  return { ...model, type };
}

/** Files of 2019 and 2020 do not name the type. */
function guessType(model: JsonObject): string {
  if (Array.isArray(model.vocab)) return "Unigram";
  return "merges" in model ? "BPE" : "WordPiece";
}

function checkAddedTokens(json: JsonObject, name: string): void {
  for (const value of expectArray(json.added_tokens ?? [], `${name}, added_tokens`)) {
    const token = expectObject(value, `${name}, added_tokens`);
    if (token.single_word === true) refuseUnsupported(`${name}, single_word`, token.content);
  }
}

function rewrite(value: unknown, what: string, depth: number): JsonObject | null {
  if (value === null) return null;
  const config = expectObject(value, what);
  switch (config.type) {
    case "Sequence": {
      if (depth >= depthMax) refuseUnsupported(what, `sequences ${depth} deep`);
      const parts = expectArray(config.pretokenizers, `${what}, pretokenizers`);
      return sequence(parts.map((part) => rewrite(part, what, depth + 1)));
    }
    case "Split":
      return rewriteSplit(config, what);
    case "ByteLevel":
      if (config.use_regex === false || config.add_prefix_space === true) return config;
      return sequence([isolate(gpt2Words), { ...config, use_regex: false }]);
    case "Digits":
      return isolate(config.individual_digits === true ? "\\p{N}" : "\\p{N}+");
    case "Punctuation":
      return rewritePunctuation(config, what);
    case "Metaspace":
      if (config.split === false) return config;
      return sequence([config, keepMatches(`${spaceMark}[^${spaceMark}]*|[^${spaceMark}]+`)]);
    case "Whitespace":
      return keepMatches("\\w+|[^\\w\\s]+");
    default:
      return config;
  }
}

const depthMax = 8;

function checkNormalizer(value: unknown, what: string, depth: number): JsonObject | null {
  if (value === null) return null;
  const config = expectObject(value, what);
  if (config.type === "Replace") checkPattern(config, what);
  if (config.type !== "Sequence") return config;
  if (depth >= depthMax) refuseUnsupported(what, `sequences ${depth} deep`);
  for (const part of expectArray(config.normalizers, `${what}, normalizers`)) {
    checkNormalizer(part, what, depth + 1);
  }
  return config;
}

/** The library passes over a pattern it cannot read with a warning. */
function checkPattern(config: JsonObject, what: string): void {
  const pattern = expectObject(config.pattern, `${what}, pattern`);
  expectString(pattern.Regex ?? pattern.String, `${what}, pattern`);
}

function rewriteSplit(config: JsonObject, what: string): JsonObject {
  checkPattern(config, what);
  const behavior = String(config.behavior ?? "Isolated").toLowerCase();
  // A gap is kept like a match, so it is the same whichever of the two the pattern names.
  if (behavior === "isolated") return { ...config, invert: false };
  if (behavior === "removed") return config;
  refuseUnsupported(`${what}, Split`, config.behavior);
}

function rewritePunctuation(config: JsonObject, what: string): JsonObject {
  const behavior = String(config.behavior ?? "Isolated").toLowerCase();
  if (behavior === "isolated") return isolate(`[${punctuation}]`);
  if (behavior === "contiguous") return isolate(`[${punctuation}]+`);
  refuseUnsupported(`${what}, Punctuation`, config.behavior);
}

/**
 * Lets a SentencePiece text be merged word by word where no token reaches from one word into the
 * next: the same ids, without one queue over a whole book.
 */
function splitWords(preTokenizer: JsonObject | null, model: JsonObject): JsonObject | null {
  const isWhole = preTokenizer === null || preTokenizer.type === "Metaspace";
  if (!isWhole || !isObject(model.vocab)) return preTokenizer;
  const innerMark = new RegExp(`[^${spaceMark}]${spaceMark}`);
  const tokens = Object.keys(model.vocab);
  const isMarked = tokens.some((token) => token.startsWith(spaceMark));
  if (!isMarked || tokens.some((token) => innerMark.test(token))) return preTokenizer;
  return sequence([preTokenizer, keepMatches(`${spaceMark}+[^${spaceMark}]*|[^${spaceMark}]+`)]);
}

function sequence(parts: (JsonObject | null)[]): JsonObject {
  return { type: "Sequence", pretokenizers: parts.filter((part) => part !== null) };
}

function isolate(regex: string): JsonObject {
  return { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
}

function keepMatches(regex: string): JsonObject {
  return { type: "Split", pattern: { Regex: regex }, behavior: "Removed", invert: true };
}
