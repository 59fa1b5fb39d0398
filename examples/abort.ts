/**
 * Ends a generation from outside with an AbortSignal: bun examples/abort.ts
 */
import { load } from "../src/index.ts";

await using model = await load("fairy-tales");
const controller = new AbortController();
const story = model.generate("Once upon a time", {
  maxTokens: 200,
  ignoreEos: true,
  seed: 7,
  signal: controller.signal,
});

let text = "";
for await (const piece of story) {
  text += piece.text;
  if (text.length > 150) controller.abort();
  // An abort is no error: the last piece tells of it, and what came before counts.
  if (piece.finishReason) console.log(`${text}\n\nended: ${piece.finishReason}`);
}

// Leaving the loop ends a generation too.
for await (const piece of model.generate("The wolf", { maxTokens: 200, seed: 7 })) {
  console.log(`\nThe wolf${piece.text} ... and no further`);
  break;
}
