/** Broken and unknown tokenizers are refused with a code, and never crash or allocate at will. */
import { expect, test } from "bun:test";
import { BitNetError } from "../../src/errors/index.ts";
import { createTokenizer, type TokenizerSource } from "../../src/text/index.ts";
import { fixture, fixtureTokenizer } from "./fixtures.ts";

type Json = Record<string, unknown>;

/** The smallest tokenizer that works. */
function smallTokenizer(change: { json?: Json; model?: Json } = {}): Json {
  return {
    added_tokens: [{ id: 3, content: "<s>", special: true }],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: [["a", "b"]], ...change.model },
    ...change.json,
  };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof BitNetError) return error.code;
    throw error;
  }
  return "no error";
}

function codeOfJson(tokenizerJson: unknown, source: Partial<TokenizerSource> = {}): string {
  return codeOf(() => createTokenizer({ tokenizerJson, ...source }));
}

test("the small tokenizer of these tests works", () => {
  const tokenizer = createTokenizer({ tokenizerJson: smallTokenizer() });
  expect(tokenizer.encode("ab<s>b")).toEqual([2, 3, 1]);
  expect(tokenizer.decode([2, 3, 1])).toBe("ab b");
  expect(tokenizer.idOf("ab")).toBe(2);
  expect(tokenizer.isSpecial(3)).toBe(true);
});

test("what is no tokenizer is refused", () => {
  for (const json of [null, 7, "text", [], {}, { model: {} }, { model: { vocab: 3 } }]) {
    expect(codeOfJson(json)).toBe("text/invalid-tokenizer");
  }
  const empty = smallTokenizer({ json: { added_tokens: [] }, model: { vocab: {}, merges: [] } });
  expect(codeOfJson(empty)).toBe("text/invalid-tokenizer");
});

test("missing optional parts are read as absent", () => {
  const { model } = smallTokenizer();
  expect(createTokenizer({ tokenizerJson: { model } }).encode("ab")).toEqual([2]);
});

test("ids that are negative, huge, broken or twice given are refused", () => {
  for (const id of [-1, 2 ** 31, 1e15, 0.5, "1", null, 0]) {
    const json = smallTokenizer({ model: { vocab: { a: 0, b: id, ab: 2 } } });
    expect(codeOfJson(json)).toBe("text/invalid-vocabulary");
  }
  const clash = smallTokenizer({ json: { added_tokens: [{ id: 2, content: "<s>" }] } });
  expect(codeOfJson(clash)).toBe("text/invalid-vocabulary");
});

test("merges of what is no token are refused", () => {
  const merges = [[["a", "c"]], [["b", "a"]], ["ab"], [["a", "b", "a"]], [7], [null]];
  for (const one of merges) {
    expect(codeOfJson(smallTokenizer({ model: { merges: one } }))).toBe("text/invalid-vocabulary");
  }
  expect(codeOfJson(smallTokenizer({ model: { merges: 7 } }))).toBe("text/invalid-tokenizer");
});

test("parts this encoder does not know are refused by name", () => {
  const quiet = { type: "Split", pattern: {}, behavior: "Isolated" };
  expect(codeOfJson(smallTokenizer({ json: { pre_tokenizer: quiet } }))).toBe(
    "text/invalid-tokenizer",
  );
  const split = { type: "Split", pattern: { String: " " }, behavior: "MergedWithNext" };
  const cases: Json[] = [
    { json: { normalizer: { type: "Nmt" } } },
    { json: { pre_tokenizer: { type: "UnicodeScripts" } } },
    { json: { pre_tokenizer: split } },
    { json: { pre_tokenizer: { ...split, behavior: "Isolated", pattern: { Regex: "(" } } } },
    { json: { decoder: { type: "CTC" } } },
    { json: { post_processor: { type: "Other" } } },
    { json: { added_tokens: [{ id: 3, content: "x", single_word: true }] } },
    { model: { type: "WordLevel" } },
  ];
  for (const change of cases) {
    expect(codeOfJson(smallTokenizer(change))).toBe("text/unsupported-tokenizer");
  }
});

test("parts nested without end are refused", () => {
  let nested: Json = { type: "ByteLevel" };
  for (let depth = 0; depth < 10_000; depth++) {
    nested = {
      type: "Sequence",
      pretokenizers: [nested],
      decoders: [nested],
      normalizers: [nested],
    };
  }
  for (const part of ["pre_tokenizer", "decoder", "normalizer"]) {
    const json = smallTokenizer({ json: { [part]: nested } });
    expect(codeOfJson(json)).toBe("text/unsupported-tokenizer");
  }
});

test("a template that adds an id out of range is refused", () => {
  const config = { type: "BertProcessing", cls: ["<s>", 99], sep: ["<s>", 3] };
  expect(codeOfJson(smallTokenizer({ json: { post_processor: config } }))).toBe(
    "text/invalid-tokenizer",
  );
});

test("ids out of range are refused when decoded, pushed, or named as ends", async () => {
  const tokenizer = await fixtureTokenizer("llama3_bpe");
  for (const id of [-1, 2048, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 40]) {
    expect(codeOf(() => tokenizer.decode([id]))).toBe("text/token-out-of-range");
    expect(codeOf(() => tokenizer.stream().push(id))).toBe("text/token-out-of-range");
    expect(codeOfJson(smallTokenizer(), { eosIds: [id] })).toBe("text/token-out-of-range");
  }
});

test("what is no text is refused", async () => {
  const tokenizer = await fixtureTokenizer("llama3_bpe");
  const wrong = 7 as unknown as string;
  expect(codeOf(() => tokenizer.encode(wrong))).toBe("text/invalid-text");
});

test("1,000 mutated tokenizers give a tokenizer or a coded error", async () => {
  const values = [null, -1, 1e9, "", [], {}, true, "x"];
  let state = 11;
  const next = (limit: number): number => {
    state = (Math.imul(state, 48_271) >>> 0) % 2_147_483_647;
    return state % limit;
  };
  const codes = new Set<string>();
  for (let round = 0; round < 1_000; round++) {
    const copy = structuredClone(await bases[next(bases.length)]) as Json;
    mutate(copy, { next, values });
    codes.add(codeOfJson(copy));
  }
  expect(codes.size).toBeGreaterThanOrEqual(3);
});

const bases = [
  Promise.resolve(smallTokenizer()),
  small("llama3_bpe"),
  small("llama2_sp_bpe"),
  small("metaspace_sp_bpe"),
];

/** A reference tokenizer with its rules, but the small vocabulary. */
async function small(name: string): Promise<Json> {
  const json = (await fixture(`tokenizers/${name}/tokenizer.json`)) as Json;
  return { ...json, post_processor: null, added_tokens: [], model: smallTokenizer().model };
}

/** Puts a value where another stood, anywhere in `json`. */
function mutate(json: Json, { next, values }: { next(limit: number): number; values: unknown[] }) {
  let place = json;
  for (;;) {
    const keys = Object.keys(place);
    const key = keys[next(keys.length)]!;
    const inner = place[key];
    const isInner = typeof inner === "object" && inner !== null && Object.keys(inner).length > 0;
    if (isInner && next(4) > 0) place = inner as Json;
    else {
      place[key] = values[next(values.length)];
      return;
    }
  }
}
