/** Tokenizers give the ids, tokens and texts of the reference, whole and streamed. */
import { describe, expect, test } from "bun:test";
import { openCheckpoint } from "../../src/checkpoint/index.ts";
import { type Tokenizer, tokenizerOf } from "../../src/text/index.ts";
import {
  type ExpectedTokens,
  expectedPrompts,
  fixture,
  fixtureTokenizer,
  modelPath,
  tokenizerNames,
} from "./fixtures.ts";

for (const name of tokenizerNames) {
  describe(name, async () => {
    const tokenizer = await fixtureTokenizer(name);
    const expected = (await fixture(`tokenizers/${name}/expected.json`)) as ExpectedTokens;

    test("encodes as the reference, with and without special tokens", () => {
      expect(tokenizer.vocabularySize).toBe(expected.vocab_size);
      for (const one of expected.cases) {
        expect(tokenizer.encode(one.text)).toEqual(one.ids);
        const plain = tokenizer.encode(one.text, { addSpecialTokens: false });
        expect(plain).toEqual(one.ids_no_special);
        expect(plain.map((id) => tokenizer.tokenOf(id) ?? "")).toEqual(one.tokens_no_special);
      }
    });

    test("decodes as the reference, special tokens skipped and kept", () => {
      for (const one of expected.cases) {
        expect(tokenizer.decode(one.ids)).toBe(one.decoded);
        const kept = tokenizer.decode(one.ids, { skipSpecialTokens: false });
        expect(kept).toBe(one.decoded_with_special);
      }
    });

    test("decodes every prefix as the reference", () => {
      for (const { ids, decoded_prefixes } of expected.prefix_decoding) {
        const prefixes = ids.map((_, index) => tokenizer.decode(ids.slice(0, index + 1)));
        expect(prefixes).toEqual(decoded_prefixes);
      }
    });

    test("encodes a pair with its types", () => {
      const { a, b, ids, type_ids } = expected.pair;
      expect(tokenizer.encodePair(a, b)).toEqual({ ids, typeIds: type_ids });
      expect(tokenizer.encodePair(a, "", { addSpecialTokens: false }).ids).toEqual(
        tokenizer.encode(a, { addSpecialTokens: false }),
      );
    });

    test("streams pieces that make up the decoded text and split no character", () => {
      for (const { ids } of expected.cases) checkStream(tokenizer, ids);
    });

    test("streams random ids, broken characters included, to the decoded text", () => {
      const random = randomOf(7);
      for (let round = 0; round < 200; round++) {
        const ids = Array.from({ length: 30 }, () => random(tokenizer.vocabularySize));
        checkStream(tokenizer, ids, false);
      }
    });
  });
}

describe("streams", async () => {
  const llama2 = await fixtureTokenizer("llama2_sp_bpe");

  test("a text that goes on keeps the space its first word would lose", () => {
    const ids = llama2.encode("the world", { addSpecialTokens: false });
    const whole = collect(llama2, ids, [1]);
    expect(whole).toBe("the world");
    expect(collect(llama2, ids, llama2.encode("Hello"))).toBe(" the world");
  });

  test("a flushed stream begins anew", () => {
    const ids = llama2.encode("the", { addSpecialTokens: false });
    const stream = llama2.stream();
    const texts = [0, 1].map(() => ids.map((id) => stream.push(id)).join("") + stream.flush());
    expect(texts).toEqual(["the", "the"]);
  });

  test("a stream of 80,000 tokens is the text of them all", () => {
    const stream = llama2.stream();
    const ids = llama2.encode("a tale ".repeat(20_000), { addSpecialTokens: false });
    const text = ids.map((id) => stream.push(id)).join("") + stream.flush();
    expect(text).toBe("a tale ".repeat(20_000));
  });
});

describe("tokenizers of checkpoints", () => {
  const folders = [
    "1bitllm-3b",
    "bitnet-2b4t-packed",
    "falcon3-1.58",
    "falcon-e",
    "llama3-8b-1.58",
  ];
  for (const name of folders) {
    test(`${name}: prompts have the reference's ids, ids past the tokenizer leave no text`, async () => {
      const tokenizer = tokenizerOf(await openCheckpoint(modelPath(name)));
      for (const { text, input_ids } of await expectedPrompts(name)) {
        expect(tokenizer.encode(text)).toEqual(input_ids);
      }
      expect(tokenizer.vocabularySize).toBe(512);
      expect(tokenizer.decode([511])).toBe("");
    });
  }

  test("every end of generation_config.json ends a text, and the tokenizer's own", async () => {
    const bitnet = tokenizerOf(await openCheckpoint(modelPath("bitnet-2b4t-packed")));
    expect(bitnet.eosIds).toEqual([491, 499]);
    expect(bitnet.bosId).toBe(490);
    const falcon = tokenizerOf(await openCheckpoint(modelPath("falcon3-1.58")));
    expect(falcon.eosIds).toEqual([11]);
    expect(falcon.bosId).toBeNull();
  });
});

test("a text of half a megabyte encodes, words, spaces or one letter", async () => {
  const size = 500_000;
  for (const name of ["llama3_bpe", "llama2_sp_bpe"]) {
    const tokenizer = await fixtureTokenizer(name);
    for (const text of ["It was so. ".repeat(size / 11), " ".repeat(size), "a".repeat(size)]) {
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      expect(tokenizer.decode(ids) === text).toBe(true);
    }
  }
});

function checkStream(tokenizer: Tokenizer, ids: number[], isWellFormed = true): void {
  for (const skipSpecialTokens of [true, false]) {
    const stream = tokenizer.stream({ skipSpecialTokens });
    const pieces = ids.map((id) => stream.push(id));
    pieces.push(stream.flush());
    expect(pieces.join("")).toBe(tokenizer.decode(ids, { skipSpecialTokens }));
    if (!isWellFormed) continue;
    for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
  }
}

function collect(tokenizer: Tokenizer, ids: number[], context: number[]): string {
  const stream = tokenizer.stream({ context });
  return ids.map((id) => stream.push(id)).join("") + stream.flush();
}

/** Numbers below `limit`, the same in every run (mulberry32). */
function randomOf(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}
