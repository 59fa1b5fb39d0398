/**
 * The five likeliest next tokens after a text, with their probabilities: bun examples/logits.ts
 */
import { load } from "../src/index.ts";

const text = process.argv[2] ?? "The king had three";

await using model = await load("fairy-tales");
const ids = model.tokenizer.encode(text);

// One row of logits a token; the last row is about what comes next.
const { vocabularySize } = model.info;
const logits = (await model.logits(ids)).subarray((ids.length - 1) * vocabularySize);

const largest = Math.max(...logits);
const weights = Array.from(logits, (logit) => Math.exp(logit - largest));
const sum = weights.reduce((total, weight) => total + weight, 0);

const likeliest = weights
  .map((weight, id) => ({ id, probability: weight / sum }))
  .sort((a, b) => b.probability - a.probability)
  .slice(0, 5);

console.log(`${text} ...`);
for (const { id, probability } of likeliest) {
  const token = JSON.stringify(model.tokenizer.decode([id]));
  console.log(`${(100 * probability).toFixed(1).padStart(6)} %  ${token}`);
}
