/** Conversations: the template's text, the history, the reuse of what was read before. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { load, type Piece } from "../../src/index.ts";

const path = join(import.meta.dir, "..", "fixtures", "models", "bitnet-2b4t-packed");

async function textOf(answer: AsyncIterable<Piece>): Promise<string> {
  let text = "";
  for await (const piece of answer) text += piece.text;
  return text;
}

test("chat: an answer continues the rendered transcript and joins the messages", async () => {
  await using model = await load(path);
  const options = { temperature: 0, maxTokens: 12, ignoreEos: true };
  const chat = model.chat({ system: "Be brief.", ...options });
  const answer = await textOf(chat.send("Hello"));
  const rendered = model.tokenizer.chatTemplate!.render(chat.messages.slice(0, 2), {
    addGenerationPrompt: true,
  });
  const ids = model.tokenizer.encode(rendered, { addSpecialTokens: false });
  expect(answer).toBe(await model.generate(ids, options).text());
  expect(chat.messages).toEqual([
    { role: "system", content: "Be brief." },
    { role: "user", content: "Hello" },
    { role: "assistant", content: answer },
  ]);
});

test("chat: a second turn reads the first from the cache and says the same as from nothing", async () => {
  await using model = await load(path);
  await using fresh = await load(path);
  const options = { temperature: 0, maxTokens: 10, ignoreEos: true };
  const chat = model.chat(options);
  await textOf(chat.send("Hello"));
  const history = [...chat.messages];
  const second = await textOf(chat.send("And then?"));
  expect(second).toBe(await textOf(fresh.chat({ ...options, history }).send("And then?")));
});

test("chat: an answer that is cut short stays in the history as far as it came", async () => {
  await using model = await load(path);
  const chat = model.chat({ temperature: 0, maxTokens: 40, ignoreEos: true });
  let seen = "";
  for await (const piece of chat.send("Hello")) {
    seen += piece.text;
    if (seen.length > 10) break;
  }
  expect(chat.messages.at(-1)).toEqual({ role: "assistant", content: seen });
});
