/**
 * The post-processor of a tokenizer.json on ids: which special tokens stand around a text or a
 * pair of texts, and which text each id counts to.
 */
import {
  expectArray,
  expectObject,
  isObject,
  type JsonObject,
  refuseShape,
  refuseUnsupported,
} from "./json-shape.ts";

/** One place of a template: special tokens, or a text (0 or 1). */
type Part = { ids: number[]; typeId: number } | { text: 0 | 1; typeId: number };

/** The templates of one text and of two. */
export interface PostProcessor {
  single: Part[];
  pair: Part[];
}

const plain: PostProcessor = {
  single: [{ text: 0, typeId: 0 }],
  pair: [
    { text: 0, typeId: 0 },
    { text: 1, typeId: 1 },
  ],
};

/** @throws BitNetError text/invalid-tokenizer or text/unsupported-tokenizer */
export function compilePostProcessor(
  value: unknown,
  { name, tokenCount }: { name: string; tokenCount: number },
): PostProcessor {
  const what = `${name}, post_processor`;
  if (value === null || value === undefined) return plain;
  const config = expectObject(value, what);
  switch (config.type) {
    case "ByteLevel":
      return plain;
    case "TemplateProcessing":
      return {
        single: template(config, "single", { what, tokenCount }),
        pair: template(config, "pair", { what, tokenCount }),
      };
    case "BertProcessing":
    case "RobertaProcessing":
      return bert(config, { what, tokenCount });
    case "Sequence": {
      const parts = expectArray(config.processors, `${what}, processors`)
        .map((part) => compilePostProcessor(part, { name, tokenCount }))
        .filter((part) => part !== plain);
      if (parts.length > 1) refuseUnsupported(what, "more than one template");
      return parts[0] ?? plain;
    }
    default:
      refuseUnsupported(what, config.type);
  }
}

/** Puts texts into their template. */
export function applyTemplate(
  parts: readonly Part[],
  texts: readonly number[][],
  addSpecialTokens: boolean,
): { ids: number[]; typeIds: number[] } {
  const ids: number[] = [];
  const typeIds: number[] = [];
  for (const part of parts) {
    const isText = "text" in part;
    if (!isText && !addSpecialTokens) continue;
    for (const id of isText ? (texts[part.text] ?? []) : part.ids) {
      ids.push(id);
      typeIds.push(part.typeId);
    }
  }
  return { ids, typeIds };
}

interface Source {
  what: string;
  tokenCount: number;
}

function template(config: JsonObject, key: "single" | "pair", source: Source): Part[] {
  const what = `${source.what}, ${key}`;
  const special = expectObject(config.special_tokens ?? {}, `${source.what}, special_tokens`);
  return expectArray(config[key], what).map((value): Part => {
    const piece = expectObject(value, what);
    const token = piece.SpecialToken;
    if (isObject(token)) {
      const entry = expectObject(special[String(token.id)], `${what}, ${String(token.id)}`);
      const ids = expectArray(entry.ids, `${what}, ids`).map((id) => idIn(id, source));
      return { ids, typeId: typeIdOf(token, what) };
    }
    const sequence = expectObject(piece.Sequence, what);
    const text = sequence.id === "A" ? 0 : sequence.id === "B" ? 1 : undefined;
    if (text === undefined) refuseShape(what, 'the sequence "A" or "B"', sequence.id);
    return { text, typeId: typeIdOf(sequence, what) };
  });
}

function typeIdOf(piece: JsonObject, what: string): number {
  const typeId = piece.type_id ?? 0;
  return typeof typeId === "number" ? typeId : refuseShape(what, "a number type_id", typeId);
}

function bert(config: JsonObject, source: Source): PostProcessor {
  const token = (key: string): number => {
    const pair = expectArray(config[key], `${source.what}, ${key}`);
    return idIn(pair[1], source);
  };
  const isBert = config.type === "BertProcessing";
  const secondType = isBert ? 1 : 0;
  const cls: Part = { ids: [token("cls")], typeId: 0 };
  const sep = token("sep");
  const first: Part[] = [cls, { text: 0, typeId: 0 }, { ids: [sep], typeId: 0 }];
  const middle: Part[] = isBert ? [] : [{ ids: [sep], typeId: 0 }];
  const second: Part[] = [
    { text: 1, typeId: secondType },
    { ids: [sep], typeId: secondType },
  ];
  return { single: first, pair: [...first, ...middle, ...second] };
}

function idIn(id: unknown, { what, tokenCount }: Source): number {
  const isId = Number.isInteger(id) && Number(id) >= 0 && Number(id) < tokenCount;
  return isId ? Number(id) : refuseShape(what, `an id below ${tokenCount}`, id);
}
