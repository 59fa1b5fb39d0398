/** The tokenizer in a GGUF file is the tokenizer.json it was made of. */
import { describe, expect, test } from "bun:test";
import { type GgufCheckpoint, openCheckpoint } from "../../src/checkpoint/index.ts";
import { BitNetError } from "../../src/errors/index.ts";
import { tokenizerFromGguf, tokenizerOf } from "../../src/text/index.ts";
import { type ExpectedTokens, expectedPrompts, fixture, modelPath } from "./fixtures.ts";

const folderOf = {
  "bitnet-2b4t-tq1_0": "bitnet-2b4t-packed",
  "bitnet-2b4t-tq2_0": "bitnet-2b4t-packed",
  "bitnet-2b4t-i2_s": "bitnet-2b4t-packed",
  "1bitllm-3b-f16": "1bitllm-3b",
} as const;

async function texts(): Promise<string[]> {
  const files = ["llama3_bpe", "llama2_sp_bpe"].map((name) => `tokenizers/${name}/expected.json`);
  const all = (await Promise.all(files.map(fixture))) as ExpectedTokens[];
  return all.flatMap((one) => one.cases.map(({ text }) => text));
}

for (const [name, folder] of Object.entries(folderOf)) {
  describe(name, async () => {
    const tokenizer = tokenizerOf(await openCheckpoint(modelPath(`gguf/${name}.gguf`)));

    test("prompts have the reference's ids", async () => {
      for (const { text, input_ids } of await expectedPrompts(`gguf/${name}`)) {
        expect(tokenizer.encode(text)).toEqual(input_ids);
      }
    });

    test("it encodes, decodes and ends as the folder's tokenizer.json", async () => {
      const other = tokenizerOf(await openCheckpoint(modelPath(folder)));
      for (const text of await texts()) {
        const ids = tokenizer.encode(text);
        expect(ids).toEqual(other.encode(text));
        expect(tokenizer.decode(ids)).toBe(other.decode(ids));
      }
      expect(tokenizer.bosId).toBe(other.bosId);
      expect(tokenizer.eosIds).toEqual(other.eosIds);
      expect(tokenizer.vocabularySize).toBe(other.vocabularySize);
      const messages = [{ role: "user", content: "Hi" }];
      expect(tokenizer.chatTemplate!.render(messages)).toBe(other.chatTemplate!.render(messages));
    });

    test("entries that only fill the table leave no text and are found in none", () => {
      expect(tokenizer.tokenOf(511)).toBeUndefined();
      expect(tokenizer.decode([511])).toBe("");
      expect(tokenizer.encode("[PAD511]").length).toBeGreaterThan(2);
    });
  });
}

describe("refusals", async () => {
  const open = async (name: string): Promise<GgufCheckpoint["metadata"]> =>
    ((await openCheckpoint(modelPath(`gguf/${name}.gguf`))) as GgufCheckpoint).metadata;
  const bytes = await open("bitnet-2b4t-tq2_0");
  const pieces = await open("1bitllm-3b-f16");

  const codeWith = (metadata: Map<string, unknown>, changes: Record<string, unknown>): string => {
    const changed = new Map<string, unknown>(metadata);
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) changed.delete(`tokenizer.ggml.${key}`);
      else changed.set(`tokenizer.ggml.${key}`, value);
    }
    try {
      tokenizerFromGguf(changed, "file.gguf");
    } catch (error) {
      if (error instanceof BitNetError) return error.code;
      throw error;
    }
    return "no error";
  };

  test("an unknown or unnamed pre-tokenizer is refused by name", () => {
    expect(codeWith(bytes, { pre: "klingon" })).toBe("text/unknown-pre-tokenizer");
    expect(codeWith(bytes, { pre: "__proto__" })).toBe("text/unknown-pre-tokenizer");
    expect(codeWith(bytes, { pre: undefined })).toBe("text/unknown-pre-tokenizer");
    const changed = new Map<string, unknown>(bytes).set("tokenizer.ggml.pre", "klingon");
    expect(() => tokenizerFromGguf(changed)).toThrow("klingon");
  });

  test("the known pre-tokenizers make tokenizers", () => {
    for (const pre of ["llama3", "falcon3", "falcon", "gpt-2", "qwen2", "smollm"]) {
      expect(codeWith(bytes, { pre })).toBe("no error");
    }
  });

  test("a missing or unknown tokenizer is refused", () => {
    expect(codeWith(bytes, { model: undefined })).toBe("text/missing-tokenizer");
    expect(codeWith(bytes, { model: "bert" })).toBe("text/unsupported-tokenizer");
    expect(codeWith(bytes, { model: 7 })).toBe("text/invalid-tokenizer");
  });

  test("lists of the wrong kind or length are refused", () => {
    expect(codeWith(bytes, { tokens: undefined })).toBe("text/invalid-tokenizer");
    expect(codeWith(bytes, { tokens: new Int32Array(512) })).toBe("text/invalid-tokenizer");
    expect(codeWith(bytes, { token_type: new Int32Array(3) })).toBe("text/invalid-tokenizer");
    expect(codeWith(bytes, { merges: "a b" })).toBe("text/invalid-tokenizer");
    expect(codeWith(bytes, { merges: ["a"] })).toBe("text/invalid-vocabulary");
    expect(codeWith(pieces, { scores: undefined })).toBe("text/invalid-tokenizer");
    expect(codeWith(pieces, { add_bos_token: 1 })).toBe("text/invalid-tokenizer");
  });

  test("ids out of range and tokens given twice are refused", () => {
    expect(codeWith(bytes, { bos_token_id: 512 })).toBe("text/invalid-tokenizer");
    expect(codeWith(bytes, { eos_token_id: -1 })).toBe("text/invalid-tokenizer");
    const tokens = [...(bytes.get("tokenizer.ggml.tokens") as string[])];
    tokens[1] = tokens[0]!;
    expect(codeWith(bytes, { tokens })).toBe("text/invalid-vocabulary");
  });

  test("without a prefix, and without a word on BOS, the defaults of the kind hold", () => {
    const changed = new Map<string, unknown>(pieces).set("tokenizer.ggml.add_space_prefix", false);
    changed.delete("tokenizer.ggml.add_bos_token");
    const tokenizer = tokenizerFromGguf(changed);
    expect(tokenizer.encode("the")[0]).toBe(1);
    expect(tokenizer.decode(tokenizer.encode(" the"))).toBe(" the");
  });
});
