/**
 * Loads the bundled model and streams a story: bun examples/story.ts ["The wolf said"]
 */
import { load } from "../src/index.ts";

const prompt = process.argv[2] ?? "Once upon a time";

await using model = await load("fairy-tales");
const story = model.generate(prompt, { maxTokens: 120, temperature: 0.8, seed: 7 });

process.stdout.write(prompt);
for await (const piece of story) process.stdout.write(piece.text);

const { tokens, seconds } = story.stats;
console.log(`\n\n${tokens} tokens, ${Math.round(tokens / seconds)} a second`);
