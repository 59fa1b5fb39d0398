/**
 * node-llama-cpp as a subject of bench/peers.ts: answers requests until its input ends. The second
 * argument is the folder that the package lies in.
 */
import { rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { peakResidentBytes, rateOf } from "../../src/report/index.ts";
import { randomWords } from "../random-bytes.ts";
import {
  answer,
  firstPromptTokens,
  idCount,
  type Request,
  requests,
  type SubjectSetup,
} from "./subject.ts";

/** What is used of the package, which the checkout does not have. */
interface Sequence {
  readonly nextTokenIndex: number;
  clearHistory(): Promise<void>;
  eraseContextTokenRanges(ranges: { start: number; end: number }[]): Promise<void>;
  evaluate(
    tokens: number[],
    options: { temperature: number; yieldEogToken: boolean },
  ): AsyncIterable<number>;
  evaluateWithoutGeneratingNewTokens(tokens: number[]): Promise<void>;
  saveStateToFile(path: string): Promise<unknown>;
  loadStateFromFile(path: string, risk: { acceptRisk: true }): Promise<void>;
}
interface LlamaModel {
  createContext(options: object): Promise<{ getSequence(): Sequence }>;
}
interface LlamaPackage {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<LlamaModel> }>;
  LlamaLogLevel: { error: string };
}

/** A sequence of one thread count, and how much of the deep prompt it holds. */
interface Place {
  sequence: Sequence;
  deepTokens: number;
}

const {
  model: modelPath,
  contextLength,
  threads,
  folder,
} = JSON.parse(process.argv[3]!) as SubjectSetup;
const random = randomWords(4);
const ids = (count: number): number[] => Array.from({ length: count }, () => random() % idCount);
const deep = ids(contextLength);
/** Keys and values of a depth, computed once and loaded wherever they are wanted. */
const depthFile = join(folder, `llama-depth-${process.pid}.bin`);
let isDepthSaved = false;

const entry = join(process.argv[2]!, "node_modules", "node-llama-cpp", "dist", "index.js");
const { getLlama, LlamaLogLevel } = (await import(entry)) as LlamaPackage;
const llama = await getLlama({
  gpu: false,
  build: "never",
  skipDownload: true,
  maxThreads: 0,
  logLevel: LlamaLogLevel.error,
});

const start = performance.now();
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const places = new Map<number, Place>();
for (const count of threads) places.set(count, await openPlace(count));
const loadSeconds = (performance.now() - start) / 1000;
const firstStart = performance.now();
await take(places.get(threads[0]!)!.sequence, ids(firstPromptTokens), 1);
answer({
  loadSeconds,
  firstTokenSeconds: (performance.now() - firstStart) / 1000,
  bytesPerToken: null,
  residentBytes: peakResidentBytes(),
});
for await (const request of requests()) {
  if (request.task === "int8") throw new Error("it has no measure of its arithmetic");
  answer({ rate: await (request.task === "prefill" ? prefill(request) : decode(request)) });
}
rmSync(depthFile, { force: true });
process.exit(0);

async function openPlace(count: number): Promise<Place> {
  const context = await model.createContext({
    contextSize: contextLength,
    batchSize: 512,
    threads: { ideal: count, min: count },
    sequences: 1,
  });
  return { sequence: context.getSequence(), deepTokens: 0 };
}

async function prefill({ threads: count, tokens }: Request & { task: "prefill" }): Promise<number> {
  const place = places.get(count)!;
  await place.sequence.clearHistory();
  place.deepTokens = 0;
  const prompt = ids(tokens);
  return rateOf(tokens, () => place.sequence.evaluateWithoutGeneratingNewTokens(prompt));
}

async function decode(request: Request & { task: "decode" }): Promise<number> {
  const place = places.get(request.threads)!;
  await reach(place, request.depth);
  const token = deep[request.depth]!;
  return rateOf(request.tokens, () => take(place.sequence, [token], request.tokens));
}

/** Brings the sequence to `depth` tokens of the deep prompt. */
async function reach(place: Place, depth: number): Promise<void> {
  const { sequence } = place;
  if (depth > 0 && place.deepTokens >= depth) {
    await sequence.eraseContextTokenRanges([{ start: depth, end: sequence.nextTokenIndex }]);
    return;
  }
  await sequence.clearHistory();
  place.deepTokens = 0;
  if (depth === 0) return;
  if (!isDepthSaved) await saveDepth(depth);
  if (place.deepTokens < depth) await sequence.loadStateFromFile(depthFile, { acceptRisk: true });
  place.deepTokens = depth;
}

/** Computed with all threads, whatever is measured: it is long. */
async function saveDepth(depth: number): Promise<void> {
  const all = availableParallelism();
  const filler = places.get(all) ?? (await openPlace(all));
  await filler.sequence.clearHistory();
  await filler.sequence.evaluateWithoutGeneratingNewTokens(deep.slice(0, depth));
  await filler.sequence.saveStateToFile(depthFile);
  filler.deepTokens = depth;
  isDepthSaved = true;
}

async function take(sequence: Sequence, prompt: number[], count: number): Promise<void> {
  let made = 0;
  for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    made += 1;
    if (made === count) return;
  }
  throw new Error(`want ${count} tokens, got ${made}`);
}
