/** Reference tokenizers and what they give, made with tokenizers 0.23.3. */
import { join } from "node:path";
import { createTokenizer, type Tokenizer } from "../../src/text/index.ts";

const root = join(import.meta.dir, "..", "fixtures");

export const tokenizerNames = [
  "falcon_bpe",
  "gpt2_bpe",
  "llama2_sp_bpe",
  "llama3_bpe",
  "metaspace_sp_bpe",
  "wordpiece",
] as const;

export interface ExpectedTokens {
  vocab_size: number;
  cases: {
    text: string;
    ids: number[];
    ids_no_special: number[];
    tokens_no_special: string[];
    decoded: string;
    decoded_with_special: string;
  }[];
  prefix_decoding: { ids: number[]; decoded_prefixes: string[] }[];
  pair: { a: string; b: string; ids: number[]; type_ids: number[] };
}

/** JSON of a file below test/fixtures. */
export function fixture(path: string): Promise<unknown> {
  return Bun.file(join(root, path)).json();
}

export async function fixtureTokenizer(name: string): Promise<Tokenizer> {
  return createTokenizer({ tokenizerJson: await fixture(`tokenizers/${name}/tokenizer.json`) });
}

/** The prompts of a file below test/fixtures/expected, with their ids. */
export async function expectedPrompts(
  name: string,
): Promise<{ text: string; input_ids: number[] }[]> {
  const json = (await fixture(`expected/${name}.json`)) as { prompts: [] };
  return json.prompts;
}

export function modelPath(name: string): string {
  return join(root, "models", name);
}
