/** This engine as a subject of bench/peers.ts: answers requests until its input ends. */
import { loadModel, Session } from "../../src/engine/index.ts";
import { resolveSettings } from "../../src/generate/index.ts";
import { probeMachine } from "../../src/native/index.ts";
import { peakResidentBytes, rateOf } from "../../src/report/index.ts";
import { randomWords } from "../random-bytes.ts";
import { refinedShare } from "../refined-share.ts";
import {
  answer,
  firstPromptTokens,
  idCount,
  type Request,
  requests,
  type SubjectSetup,
} from "./subject.ts";

/** Tokens of one native run. */
const stepsMax = 64;

const { model: path, contextLength, threads } = JSON.parse(process.argv[2]!) as SubjectSetup;
const random = randomWords(4);
const ids = (count: number): number[] => Array.from({ length: count }, () => random() % idCount);
const deep = ids(contextLength);

const start = performance.now();
await using model = await loadModel(path, { contextLength, threads: threads[0] });
const loadSeconds = (performance.now() - start) / 1000;
const first = model.generate(ids(firstPromptTokens), {
  maxTokens: 1,
  temperature: 0,
  ignoreEos: true,
});
for await (const _ of first);
const residentBytes = peakResidentBytes();
const refined = await refinedShare(model.programs.decoder, ids(16));
answer({
  loadSeconds,
  firstTokenSeconds: first.stats.firstTokenSeconds,
  bytesPerToken: model.programs.decode.bytesRead({}, 1, refined),
  residentBytes,
});

await using stack = new AsyncDisposableStack();
const sessions = new Map<string, Session>();
for await (const request of requests()) answer({ rate: await measure(request) });

async function measure(request: Request): Promise<number> {
  switch (request.task) {
    case "prefill":
      return await prefill(request);
    case "decode":
      return await decode(request);
    case "int8":
      return probeMachine("int8_ops_per_second", request);
  }
}

/** Deep ones are filled by all threads, whatever is measured: it is long. */
function sessionOf(count: number, isDeep = false): Session {
  const name = `${count} ${isDeep}`;
  const found = sessions.get(name);
  if (found) return found;
  const counts = isDeep ? { decode: count, prefill: 0 } : count;
  const session = stack.use(new Session(model.programs, counts));
  sessions.set(name, session);
  return session;
}

async function prefill({ threads: count, tokens }: Request & { task: "prefill" }): Promise<number> {
  const session = sessionOf(count);
  // The last token of a prompt is the first decode step's.
  const prompt = ids(tokens + 1);
  while (session.sharedPrefix(prompt) > 0) prompt[0] = ids(1)[0]!;
  return rateOf(tokens, () => session.prefill(prompt));
}

async function decode(request: Request & { task: "decode" }): Promise<number> {
  const session = sessionOf(request.threads, request.depth > 0);
  const prompt = deep.slice(0, request.depth + 1);
  await session.prefill(prompt);
  return rateOf(request.tokens, async () => {
    for (let made = 0; made < request.tokens; ) {
      await session.decode(prompt, {
        settings: resolveSettings({ temperature: 0, seed: 1 }),
        draws: 0,
        steps: Math.min(stepsMax, request.tokens - made),
        signal: new AbortController().signal,
        onTokens: (fresh) => {
          made += fresh.length;
          prompt.push(...fresh);
        },
      });
    }
  });
}
