/** A Worker that loads a model and generates for ever; it posts each piece of text. */
import { load } from "../../src/index.ts";

const model = await load("fairy-tales");
const options = { ignoreEos: true, slide: true, seed: 2 };
for await (const { text } of model.generate("The wolf said", options)) postMessage(text);
