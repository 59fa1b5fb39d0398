/**
 * The token table of a tokenizer.json, checked before the encoder sees it: every id a small whole
 * number that stands for one token, every merge of tokens into a token.
 */
import { BitNetError } from "../errors/index.ts";
import {
  expectArray,
  expectObject,
  expectString,
  inShort,
  isObject,
  type JsonObject,
  refuseShape,
} from "./json-shape.ts";

/** Tokens by id, with holes where the file has none, and which of them are special. */
export interface Vocabulary {
  tokens: (string | undefined)[];
  specialIds: Set<number>;
}

/**
 * Ids may leave holes, but a small file must not ask for a large table.
 * Real vocabularies have less than one hole to two tokens.
 */
const idsPerTokenMax = 4;
const idsSpare = 65_536;
const idMax = 1 << 24;

/** @throws BitNetError text/invalid-tokenizer or text/invalid-vocabulary */
export function readVocabulary(json: JsonObject, name: string): Vocabulary {
  const model = expectObject(json.model, `${name}, model`);
  const added = expectArray(json.added_tokens ?? [], `${name}, added_tokens`);
  const pairs = vocabularyPairs(model.vocab, `${name}, vocab`);
  const limit = Math.min(idMax, (pairs.length + added.length) * idsPerTokenMax + idsSpare);
  const table = new TokenTable(limit, name);
  for (const [token, id] of pairs) table.put(token, id);
  const specialIds = new Set<number>();
  for (const value of added) {
    const one = expectObject(value, `${name}, added_tokens`);
    const token = expectString(one.content, `${name}, added_tokens, content`);
    const id = table.put(token, one.id);
    if (one.special === true) specialIds.add(id);
  }
  if (table.tokens.length === 0) refuseShape(`${name}, vocab`, "at least one token", {});
  checkMerges(model, name);
  return { tokens: table.tokens, specialIds };
}

class TokenTable {
  readonly tokens: (string | undefined)[] = [];
  readonly #limit: number;
  readonly #name: string;

  constructor(limit: number, name: string) {
    this.#limit = limit;
    this.#name = name;
  }

  put(token: string, id: unknown): number {
    if (!Number.isInteger(id) || Number(id) < 0 || Number(id) >= this.#limit) {
      const range = `a whole number from 0 to ${this.#limit - 1}`;
      this.#refuse(`the token ${inShort(token)} has the id ${inShort(id)}, expected ${range}`);
    }
    const index = Number(id);
    const present = this.tokens[index];
    if (present !== undefined && present !== token) {
      this.#refuse(`the id ${index} stands for ${inShort(present)} and ${inShort(token)}`);
    }
    while (this.tokens.length < index) this.tokens.push(undefined);
    this.tokens[index] = token;
    return index;
  }

  #refuse(what: string): never {
    throw new BitNetError(
      "text/invalid-vocabulary",
      `${this.#name}: ${what}; fetch the file again`,
    );
  }
}

/** BPE and WordPiece map tokens to ids; Unigram lists [token, score], its ids being positions. */
function vocabularyPairs(vocab: unknown, what: string): [string, unknown][] {
  if (isObject(vocab)) return Object.entries(vocab);
  return expectArray(vocab, what).map((entry, id) => {
    const isPair = Array.isArray(entry) && entry.length === 2 && Number.isFinite(entry[1]);
    if (!isPair) refuseShape(`${what}, entry ${id}`, "[token, score]", entry);
    return [expectString(entry[0], `${what}, entry ${id}`), id];
  });
}

/** A merge of what is no token, or into none, would lose text without a word. */
function checkMerges(model: JsonObject, name: string): void {
  if (model.merges === undefined || !isObject(model.vocab)) return;
  const vocab = model.vocab;
  const merges = expectArray(model.merges, `${name}, merges`);
  const isPairs = Array.isArray(merges[0]);
  for (const [rank, merge] of merges.entries()) {
    const parts = isPairs ? merge : typeof merge === "string" ? merge.split(" ") : undefined;
    const isKnown =
      Array.isArray(parts) &&
      parts.length === 2 &&
      parts.every((part) => typeof part === "string" && Object.hasOwn(vocab, part)) &&
      Object.hasOwn(vocab, parts.join(""));
    if (isKnown) continue;
    throw new BitNetError(
      "text/invalid-vocabulary",
      `${name}: merge ${rank} is ${inShort(merge)}, expected two tokens whose union is a token`,
    );
  }
}
