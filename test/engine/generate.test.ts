/** What people see of a generation: pieces, ends, seeds, aborts, several at once. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { BitNetError, load, type Model, type Piece } from "../../src/index.ts";
import { limitMemory, memoryMetrics } from "../../src/native/index.ts";

const opening = "Once upon a time";
let model: Model;

beforeAll(async () => {
  model = await load("fairy-tales");
});
afterAll(() => model[Symbol.asyncDispose]());

async function pieces(generation: AsyncIterable<Piece>): Promise<Piece[]> {
  const all: Piece[] = [];
  for await (const piece of generation) all.push(piece);
  return all;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof BitNetError) return error.code;
    throw error;
  }
  return "none";
}

describe("ends", () => {
  test("maxTokens ends with length, after exactly as many tokens", async () => {
    const all = await pieces(model.generate(opening, { maxTokens: 9, ignoreEos: true, seed: 1 }));
    expect(all).toHaveLength(9);
    expect(all.map((piece) => piece.finishReason)).toEqual([...Array(8).fill(null), "length"]);
  });

  test("a full context ends with length and counts every token it holds", async () => {
    const ids = model.tokenizer.encode(opening);
    const all = await pieces(model.generate(opening, { ignoreEos: true, seed: 1 }));
    expect(all.at(-1)!.finishReason).toBe("length");
    const made = all.filter((piece) => piece.token !== null).length;
    expect(made).toBe(model.info.contextLength - ids.length + 1);
  });

  test("slide goes on past a full context", async () => {
    const options = { ignoreEos: true, seed: 1, slide: true, maxTokens: 400 };
    const all = await pieces(model.generate(opening, options));
    expect(all).toHaveLength(400);
  });

  test("a stop text ends before it, wherever the tokens cut it", async () => {
    const greedy = { temperature: 0, maxTokens: 48, ignoreEos: true };
    const whole = await model.generate(opening, greedy).text();
    const stop = whole.slice(20, 31);
    const generation = model.generate(opening, { ...greedy, stop });
    const all = await pieces(generation);
    expect(all.at(-1)!.finishReason).toBe("stop");
    expect(all.map((piece) => piece.text).join("")).toBe(whole.slice(0, whole.indexOf(stop)));
  });

  test("the model's own end token ends with stop", async () => {
    const reasons = new Set<string | null>();
    for (let seed = 0; seed < 8; seed += 1) {
      const all = await pieces(model.generate("The End. And they lived happily", { seed }));
      reasons.add(all.at(-1)!.finishReason);
    }
    expect([...reasons].every((reason) => reason === "stop" || reason === "length")).toBe(true);
  });
});

describe("seeds", () => {
  test("one seed gives one text, another one another", async () => {
    const text = (seed: number): Promise<string> =>
      model.generate(opening, { seed, temperature: 1, maxTokens: 60 }).text();
    const [a, b, c] = [await text(1), await text(1), await text(2)];
    expect(a).toBe(b);
    expect(a).not.toBe(c);
  });

  test("a seed's draws go on across native runs: 200 tokens begin as 100 do", async () => {
    const text = (maxTokens: number): Promise<string> =>
      model.generate(opening, { seed: 5, temperature: 1, ignoreEos: true, maxTokens }).text();
    const short = await text(100);
    expect((await text(200)).startsWith(short)).toBe(true);
  });
});

describe("aborts", () => {
  test("a signal ends with aborted, keeps what came, and the model goes on", async () => {
    const controller = new AbortController();
    const all: Piece[] = [];
    for await (const piece of model.generate(opening, {
      signal: controller.signal,
      ignoreEos: true,
    })) {
      all.push(piece);
      if (all.length === 5) controller.abort();
    }
    expect(all.at(-1)!.finishReason).toBe("aborted");
    expect(all.length).toBeGreaterThanOrEqual(5);
    expect(all.length).toBeLessThan(200);
    expect(await model.generate(opening, { maxTokens: 3 }).text()).not.toBe("");
  });

  test("a signal that is aborted already gives one empty piece", async () => {
    const all = await pieces(model.generate(opening, { signal: AbortSignal.abort() }));
    expect(all).toEqual([{ text: "", token: null, finishReason: "aborted" }]);
  });

  test("leaving the loop ends the run and gives its memory back", async () => {
    for (let round = 0; round < 20; round += 1) {
      for await (const piece of model.generate(opening, { ignoreEos: true })) {
        if (piece.text.length > 0) break;
      }
    }
    expect(memoryMetrics().regions).toBeLessThan(12);
  });
});

describe("several at once", () => {
  test("two generates give what each gives alone", async () => {
    const options = { temperature: 0.8, maxTokens: 70, ignoreEos: true };
    const first = (): Promise<string> => model.generate(opening, { ...options, seed: 1 }).text();
    const second = (): Promise<string> =>
      model.generate("The wolf said", { ...options, seed: 2 }).text();
    const alone = [await first(), await second()];
    const together: string[] = await Promise.all([first(), second()]);
    expect(together).toEqual(alone);
  });

  test("a prefix that is in the cache changes nothing", async () => {
    const options = { temperature: 0, maxTokens: 20, ignoreEos: true };
    const fresh = await model.generate("The old king and the wolf", options).text();
    for await (const _ of model.generate("The old king", options));
    expect(await model.generate("The old king and the wolf", options).text()).toBe(fresh);
  });
});

describe("refusals", () => {
  test("prompts that cannot be are refused with a code", () => {
    expect(codeOf(() => model.generate([1, 2, 5000]))).toBe("engine/token-out-of-range");
    expect(codeOf(() => model.generate([1, -2]))).toBe("engine/token-out-of-range");
    expect(codeOf(() => model.generate([1.5]))).toBe("engine/token-out-of-range");
    expect(codeOf(() => model.generate(""))).toBe("engine/empty-prompt");
    expect(codeOf(() => model.generate(new Array(300).fill(5)))).toBe("engine/prompt-too-long");
    expect(codeOf(() => model.generate("a", { temperature: Number.NaN }))).toBe(
      "generate/invalid-option",
    );
    expect(codeOf(() => model.chat())).toBe("engine/no-chat-template");
  });

  test("pieces come once", async () => {
    const generation = model.generate(opening, { maxTokens: 2 });
    await pieces(generation);
    expect(pieces(generation)).rejects.toMatchObject({ code: "engine/already-read" });
  });

  test("logits of ids out of range are refused", () => {
    expect(model.logits([0, 2048])).rejects.toMatchObject({ code: "engine/token-out-of-range" });
  });
});

describe("disposal", () => {
  test("gives everything back, ends what is under way, and refuses use after", async () => {
    const before = memoryMetrics();
    const own = await load("fairy-tales");
    const running = pieces(own.generate(opening, { ignoreEos: true }));
    await Bun.sleep(5);
    await own[Symbol.asyncDispose]();
    await own[Symbol.asyncDispose]();
    expect((await running).at(-1)!.finishReason).toBe("aborted");
    expect(codeOf(() => own.generate(opening))).toBe("engine/disposed");
    expect(memoryMetrics().used).toBe(before.used);
    expect(memoryMetrics().mapped).toBe(before.mapped);
  });
});

describe("a memory limit", () => {
  test("refuses a model and a generation beyond it, and nothing of them stays", async () => {
    const before = memoryMetrics();
    try {
      // Other models may have something to spare.
      limitMemory(2 ** 20);
      await expect(load("fairy-tales")).rejects.toMatchObject({
        code: "native/out-of-memory",
        message: expect.stringContaining(": the memory limit is reached: wanted "),
      });
      expect(memoryMetrics().used).toBeLessThanOrEqual(before.used);
      limitMemory(Number.POSITIVE_INFINITY);
      await using own = await load("fairy-tales");
      limitMemory(0);
      const refused = own.generate(opening, { maxTokens: 3 }).text();
      expect(refused).rejects.toMatchObject({ code: "native/out-of-memory" });
      await refused.catch(() => {});
      limitMemory(Number.POSITIVE_INFINITY);
      expect(await own.generate(opening, { maxTokens: 3 }).text()).not.toBe("");
    } finally {
      limitMemory(Number.POSITIVE_INFINITY);
    }
    expect(memoryMetrics().used).toBeLessThanOrEqual(before.used);
  });
});

test("streamed text is the decoded text, with no character cut", async () => {
  const path = join(import.meta.dir, "..", "fixtures", "models", "bitnet-2b4t-packed");
  await using random = await load(path);
  for (let seed = 0; seed < 5; seed += 1) {
    const prompt = [490, 71, 270];
    const all = await pieces(
      random.generate(prompt, { seed, temperature: 1.2, maxTokens: 60, ignoreEos: true }),
    );
    const tokens = all.map((piece) => piece.token).filter((token) => token !== null);
    const whole = random.tokenizer.decode([...prompt, ...tokens]);
    expect(random.tokenizer.decode(prompt) + all.map((piece) => piece.text).join("")).toBe(whole);
  }
});
