/**
 * What the interruption tests run as a process of its own: `bun interrupted.ts <case>`. Each case
 * is in the middle of a generation when it ends in its way.
 */
import { load, type Model } from "../../src/index.ts";

const cases: Record<string, () => Promise<void>> = {
  async exit() {
    await whileGenerating(() => process.exit(7));
  },
  async throw() {
    await whileGenerating(() => {
      throw new Error("thrown on purpose");
    });
  },
  /** Leaves the loop, forgets the model, and ends by itself. */
  async leave() {
    const model = await load("fairy-tales");
    for await (const { text } of long(model)) if (text !== "") break;
    console.log("left");
  },
  /** Ends by itself while a run that nobody waits for is under way. */
  async forget() {
    const model = await load("fairy-tales");
    await long(model)[Symbol.asyncIterator]().next();
    console.log("forgotten");
  },
  async "exit-beside-worker"() {
    const worker = new Worker(new URL("./generating-worker.ts", import.meta.url).href);
    await new Promise((resolve) => worker.addEventListener("message", resolve, { once: true }));
    process.exit(7);
  },
};

function long(model: Model) {
  return model.generate("Once upon a time", { ignoreEos: true, slide: true, seed: 1 });
}

async function whileGenerating(end: () => void): Promise<void> {
  const model = await load("fairy-tales");
  let count = 0;
  for await (const { text } of long(model)) {
    count += text === "" ? 0 : 1;
    if (count === 5) end();
  }
}

await cases[process.argv[2] ?? ""]!();
