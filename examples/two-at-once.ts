/**
 * Two stories at the same time from one model; the weights are in memory once, and each story is
 * the one it would be alone: bun examples/two-at-once.ts
 */
import { load, type Model } from "../src/index.ts";

await using model = await load("fairy-tales");
const prompts = ["The king said", "The fox said"];

const together = await Promise.all(prompts.map((prompt) => tell(model, prompt)));
const alone = await tell(model, prompts[0]!);

for (const [index, prompt] of prompts.entries()) console.log(`${prompt}${together[index]}\n`);
if (alone !== together[0]) throw new Error(`alone the first story is another: ${alone}`);
console.log("The first one alone is the same.");

function tell(teller: Model, prompt: string): Promise<string> {
  return teller.generate(prompt, { maxTokens: 60, seed: 7 }).text();
}
