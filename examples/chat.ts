/**
 * A conversation with a model that has a chat template: bun examples/chat.ts [model]
 * The bundled model has none and only continues text: it shows how an app tells the two apart.
 */
import { BitNetError, type Chat, load } from "../src/index.ts";

const turns = ["Who lives in the forest?", "And who is the wisest of them?"];

await using model = await load(process.argv[2] ?? "fairy-tales");

const chat = openChat();
for (const turn of turns) {
  console.log(`> ${turn}`);
  // A chat keeps the history and reads only what is new in each turn.
  const answer = chat
    ? chat.send(turn, { maxTokens: 60 })
    : model.generate(`"${turn}" asked the child. "`, { maxTokens: 60, seed: 7, stop: '"' });
  for await (const piece of answer) process.stdout.write(piece.text);
  console.log("\n");
}

function openChat(): Chat | undefined {
  try {
    return model.chat({ system: "You are brief." });
  } catch (error) {
    if (!(error instanceof BitNetError) || error.code !== "engine/no-chat-template") throw error;
    console.log(`${error.message}\n`);
    return undefined;
  }
}
