/**
 * The pre-tokenizers that `tokenizer.ggml.pre` names, as parts of a tokenizer.json.
 * Source: `llama_vocab::impl::load` and `llm_tokenizer_bpe` in src/llama-vocab.cpp of
 * ggml-org/llama.cpp, and the tokenizer.json of the models themselves.
 */
import type { JsonObject } from "./json-shape.ts";

/** How text is cut into words, and what goes with it. */
export interface PreTokenizerRule {
  preTokenizer: JsonObject;
  /** Whether a word that is a token is taken whole, merges or not. */
  ignoreMerges: boolean;
  /** Whether BOS is added where the file does not say. */
  addsBos: boolean;
}

function split(regex: string): JsonObject {
  return { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
}

function sequence(...pretokenizers: JsonObject[]): JsonObject {
  return { type: "Sequence", pretokenizers };
}

const byteLevel = { type: "ByteLevel", add_prefix_space: false, use_regex: true };
const bytesOnly = { ...byteLevel, use_regex: false };

const llama3Words =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" +
  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
/** As llama3Words, but every digit alone. */
const qwen2Words = llama3Words.replace("\\p{N}{1,3}", "\\p{N}");

const llama3: PreTokenizerRule = {
  preTokenizer: sequence(split(llama3Words), bytesOnly),
  ignoreMerges: true,
  addsBos: true,
};

const gpt2: PreTokenizerRule = { preTokenizer: byteLevel, ignoreMerges: false, addsBos: false };

const falcon: PreTokenizerRule = {
  preTokenizer: sequence(
    { type: "Punctuation", behavior: "Contiguous" },
    byteLevel,
    { type: "Digits", individual_digits: false },
    split("[0-9][0-9][0-9]"),
  ),
  ignoreMerges: false,
  addsBos: false,
};

const qwen2: PreTokenizerRule = {
  preTokenizer: sequence(split(qwen2Words), bytesOnly),
  ignoreMerges: false,
  addsBos: false,
};

const smollm: PreTokenizerRule = {
  preTokenizer: sequence({ type: "Digits", individual_digits: true }, byteLevel),
  ignoreMerges: false,
  addsBos: false,
};

/** Rules by the name that stands in the file. */
export const gpt2PreTokenizers: ReadonlyMap<string, PreTokenizerRule> = new Map([
  ["llama-bpe", llama3],
  ["llama3", llama3],
  ["llama-v3", llama3],
  ["falcon3", llama3],
  ["falcon-h1", llama3],
  ["gpt-2", gpt2],
  ["falcon", falcon],
  ["qwen2", qwen2],
  ["smollm", smollm],
]);
