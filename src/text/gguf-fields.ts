/**
 * A tokenizer.json as the metadata of a GGUF file, the way back from gguf-tokenizer.ts: byte-level
 * BPE under the name of its pre-tokenizer. Rules that have no name in the format go whole under
 * the format's key for a tokenizer.json, which this library reads and others may not.
 * Source: docs/gguf.md of ggml-org/ggml, "Tokenizer".
 */
import type { GgufField, HfCheckpoint } from "../checkpoint/index.ts";
import { gpt2PreTokenizers } from "./gguf-pre-tokenizers.ts";
import { tokenizerJsonKey } from "./gguf-tokenizer.ts";
import { isObject, type JsonObject } from "./json-shape.ts";
import type { Tokenizer } from "./types.ts";

/** Source: `llama_token_type` in include/llama.h of ggml-org/llama.cpp. */
const tokenTypes = { normal: 1, control: 3, userDefined: 4, unused: 5 };

/** Fields by key, and whether other programs can read them. */
export interface TokenizerFields {
  fields: Map<string, GgufField>;
  isPortable: boolean;
}

/** The fields of a folder's tokenizer; `tokenizer` is what was made of it. */
export function ggufTokenizerFields(
  { tokenizerJson, config, chatTemplate }: HfCheckpoint,
  tokenizer: Tokenizer,
): TokenizerFields {
  const json = isObject(tokenizerJson) ? tokenizerJson : {};
  const size = Math.max(Number(config.vocab_size) || 0, 0);
  const fields = byteLevelFields(json, size) ?? new Map<string, GgufField>();
  const isPortable = fields.size > 0;
  if (!isPortable) fields.set(tokenizerJsonKey, string(JSON.stringify(tokenizerJson)));
  const { bosId, eosIds } = tokenizer;
  const [eosId, eotId, eomId] = eosIds;
  const starts = bosId !== null && tokenizer.encode("a")[0] === bosId;
  setId(fields, "bos_token_id", bosId ?? undefined);
  setId(fields, "eos_token_id", eosId);
  setId(fields, "eot_token_id", eotId);
  setId(fields, "eom_token_id", eomId);
  fields.set("tokenizer.ggml.add_bos_token", { type: "bool", value: starts });
  if (chatTemplate !== undefined) fields.set("tokenizer.chat_template", string(chatTemplate));
  return { fields, isPortable };
}

function byteLevelFields(json: JsonObject, size: number): Map<string, GgufField> | undefined {
  const model = isObject(json.model) ? json.model : {};
  const pre = preTokenizerName(json, model);
  const { vocab, merges } = model;
  if (pre === undefined || !isObject(vocab) || !Array.isArray(merges)) return undefined;
  const tokens: string[] = [];
  const types: number[] = [];
  const place = (token: string, id: number, type: number): void => {
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of Object.entries(vocab)) place(token, Number(id), tokenTypes.normal);
  for (const one of Array.isArray(json.added_tokens) ? json.added_tokens : []) {
    if (!isObject(one)) return undefined;
    const type = one.special === true ? tokenTypes.control : tokenTypes.userDefined;
    place(String(one.content), Number(one.id), type);
  }
  // Rows of the embedding that no token has.
  const count = Math.max(size, tokens.length);
  for (let id = 0; id < count; id++) {
    if (tokens[id] === undefined) place(`[PAD${id}]`, id, tokenTypes.unused);
  }
  return new Map<string, GgufField>([
    ["tokenizer.ggml.model", string("gpt2")],
    ["tokenizer.ggml.pre", string(pre)],
    ["tokenizer.ggml.tokens", { type: "strings", value: tokens }],
    ["tokenizer.ggml.token_type", { type: "numbers", value: Int32Array.from(types) }],
    ["tokenizer.ggml.merges", { type: "strings", value: merges.map(mergeText) }],
  ]);
}

/** Merges are pairs in newer files, texts with a space between in older ones. */
function mergeText(merge: unknown): string {
  return Array.isArray(merge) ? merge.join(" ") : String(merge);
}

/** The name of the rules, where the format has one that says all of them. */
function preTokenizerName(json: JsonObject, model: JsonObject): string | undefined {
  if (model.type !== "BPE" || (json.normalizer ?? null) !== null) return undefined;
  const rules = canonical(json.pre_tokenizer);
  for (const [name, rule] of gpt2PreTokenizers) {
    const sameWords = canonical(rule.preTokenizer) === rules;
    if (sameWords && rule.ignoreMerges === (model.ignore_merges ?? false)) return name;
  }
  return undefined;
}

/** JSON with its keys in order, without what changes no word: offsets. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (key, one: unknown) => {
    if (key === "trim_offsets") return undefined;
    if (!isObject(one)) return one;
    return Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function setId(fields: Map<string, GgufField>, key: string, id: number | undefined): void {
  if (id !== undefined) fields.set(`tokenizer.ggml.${key}`, { type: "u32", value: id });
}

function string(value: string): GgufField {
  return { type: "string", value };
}
