/** Chat templates render as the reference, and refuse what they cannot render. */
import { expect, test } from "bun:test";
import { BitNetError } from "../../src/errors/index.ts";
import { type ChatMessage, type ChatTemplate, createTokenizer } from "../../src/text/index.ts";
import { fixture } from "./fixtures.ts";

interface Expected {
  bos_token: string;
  eos_token: string;
  templates: Record<string, string>;
  conversations: { messages: ChatMessage[] }[];
  cases: {
    template: string;
    conversation: number;
    add_generation_prompt: boolean;
    text?: string;
    error?: unknown;
    llama3_bpe_ids?: number[];
  }[];
}

const expected = (await fixture("tokenizers/chat_templates.json")) as Expected;
const tokenizerJson = await fixture("tokenizers/llama3_bpe/tokenizer.json");
const tokenizerConfig = { bos_token: expected.bos_token, eos_token: expected.eos_token };

function templateOf(chatTemplate: string): ChatTemplate {
  return createTokenizer({ tokenizerJson, tokenizerConfig, chatTemplate }).chatTemplate!;
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

for (const name of Object.keys(expected.templates)) {
  test(`${name} renders every conversation as the reference, and its ids are equal`, () => {
    const template = templateOf(expected.templates[name]!);
    const tokenizer = createTokenizer({ tokenizerJson });
    for (const one of expected.cases.filter((one) => one.template === name)) {
      const { messages } = expected.conversations[one.conversation]!;
      const options = { addGenerationPrompt: one.add_generation_prompt };
      if (one.error !== undefined) {
        expect(codeOf(() => template.render(messages, options))).toBe("text/chat-template-failed");
        continue;
      }
      const text = template.render(messages, options);
      expect(text).toBe(one.text!);
      if (one.llama3_bpe_ids === undefined) continue;
      expect(tokenizer.encode(text, { addSpecialTokens: false })).toEqual(one.llama3_bpe_ids);
    }
  });
}

test("the template of chat_template.jinja goes before the configuration's", () => {
  const config = { ...tokenizerConfig, chat_template: "config" };
  const user = [{ role: "user", content: "x" }];
  const both = createTokenizer({ tokenizerJson, tokenizerConfig: config, chatTemplate: "file" });
  expect(both.chatTemplate!.render(user)).toBe("file");
  const named = [
    { name: "tool_use", template: "tools" },
    { name: "default", template: "{{ bos_token }}plain" },
  ];
  const list = { ...config, chat_template: named };
  const one = createTokenizer({ tokenizerJson, tokenizerConfig: list });
  expect(one.chatTemplate!.render(user, { bosToken: "B" })).toBe("Bplain");
  expect(createTokenizer({ tokenizerJson }).chatTemplate).toBeUndefined();
});

test("variables of the caller reach the template", () => {
  const template = templateOf("{{ tools | length }}{{ messages[0].name }}");
  const messages = [{ role: "user", content: "", name: "n" }];
  expect(template.render(messages, { extra: { tools: [1, 2] } })).toBe("2n");
});

test("a conversation that the template raises for is refused with the template's words", () => {
  const template = templateOf(expected.templates.llama2!);
  const messages = [{ role: "assistant", content: "first" }];
  expect(() => template.render(messages)).toThrow("roles must alternate user/assistant");
  expect(codeOf(() => template.render(messages))).toBe("text/chat-template-failed");
});

test("what is no template, and what are no messages, is refused", () => {
  const user = [{ role: "user", content: "x" }];
  expect(codeOf(() => templateOf("{% if %}").render(user))).toBe("text/invalid-chat-template");
  const template = templateOf("{{ messages[0].content }}");
  for (const messages of [[], [{ role: "user" }], [null], "text", undefined]) {
    const wrong = messages as unknown as ChatMessage[];
    expect(codeOf(() => template.render(wrong))).toBe("text/invalid-messages");
  }
});
