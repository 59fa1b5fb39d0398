/** What an idle model gives back: never what is in use, and never at the cost of another result. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { requireFit } from "../../src/engine/memory.ts";
import { load, type Model } from "../../src/index.ts";
import { cleanUp, reclaimers } from "../../src/memory/index.ts";
import { limitMemory, memoryMetrics, Region, systemMemory } from "../../src/native/index.ts";

const greedy = { temperature: 0, ignoreEos: true };
const story = "Once upon a time there was a little girl who";

let model: Model;
beforeEach(async () => {
  model = await load("fairy-tales");
});
afterEach(() => model[Symbol.asyncDispose]());

/** What could be freed of this model, by what its name begins with. */
function offered(urgent = false): string[] {
  const kinds = ["empty pages", "unused reservation", "idle context", "mapped files", "programs"];
  const names = reclaimers.items(urgent).map(({ name }) => name);
  return kinds.filter((kind) => names.some((name) => name.startsWith(kind)));
}

/** Frees only what has such a name. @returns the bytes won */
function reclaim(kind: string): number {
  return reclaimers
    .items(true)
    .filter(({ name }) => name.startsWith(kind))
    .reduce((won, item) => won + item.reclaim(), 0);
}

async function tokensOf(prompt: string | ArrayLike<number>, maxTokens: number): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { token } of model.generate(prompt, { ...greedy, maxTokens })) {
    if (token !== null) tokens.push(token);
  }
  return tokens;
}

describe("an idle context", () => {
  test.each(["empty pages", "unused reservation", "idle context"])(
    "goes on with the same tokens after its %s went",
    async (kind) => {
      const prompt = model.tokenizer.encode(story);
      const want = await tokensOf(prompt, 120);
      const first = await tokensOf(prompt, 70);
      expect(first).toEqual(want.slice(0, 70));
      // The shorter turn left pages behind its end.
      const won = reclaim(kind);
      expect(won).toBeGreaterThan(0);
      expect(offered(true)).not.toContain(kind);
      expect(await tokensOf([...prompt, ...first], 50)).toEqual(want.slice(70));
      expect(await tokensOf(prompt, 120)).toEqual(want);
    },
  );

  test("that was packed is read again only behind what it still holds", async () => {
    const prompt = model.tokenizer.encode(story);
    const want = await tokensOf(prompt, 100);
    reclaim("unused reservation");
    const generation = model.generate([...prompt, ...want.slice(0, 90)], {
      ...greedy,
      maxTokens: 10,
    });
    const tokens: number[] = [];
    for await (const { token } of generation) if (token !== null) tokens.push(token);
    expect(tokens).toEqual(want.slice(90));
    // Another beginning needs nothing of it.
    reclaim("unused reservation");
    const other = await tokensOf("The dragon", 20);
    reclaim("idle context");
    expect(await tokensOf("The dragon", 20)).toEqual(other);
  });

  test("gives its pages back to the system", async () => {
    await using large = await load("fairy-tales", { precision: "exact" });
    const text = async () => {
      await large.generate(story, { ...greedy, maxTokens: 400 }).text();
    };
    await text();
    const before = systemMemory().resident;
    const won = reclaim("idle context");
    expect(won).toBeGreaterThan(2 ** 20);
    // Debug mode keeps freed blocks for a while, and a part of them poisoned.
    if (process.platform === "linux" && process.env.BITNET_MEMORY_DEBUG !== "1") {
      expect(before - systemMemory().resident).toBeGreaterThan(won / 2);
    }
  });
});

test("a generation under way keeps all it uses, whatever is cleaned up", async () => {
  const want = await tokensOf(story, 150);
  cleanUp();
  const tokens: number[] = [];
  for await (const { token } of model.generate(story, { ...greedy, maxTokens: 150 })) {
    if (token === null) break;
    tokens.push(token);
    if (tokens.length % 10 !== 0) continue;
    expect(offered(true)).toEqual([]);
    cleanUp();
  }
  expect(tokens).toEqual(want);
});

test("an item taken before a generation began gives nothing while it runs", async () => {
  await tokensOf(story, 10);
  const stale = reclaimers.items(true).filter(({ name }) => name.includes("context"));
  expect(stale.length).toBeGreaterThan(0);
  for await (const _ of model.generate(story, { ...greedy, maxTokens: 30 })) {
    expect(stale.map((item) => item.reclaim())).toEqual(stale.map(() => 0));
  }
});

test("exact logits are the same after programs and mapped pages went", async () => {
  const ids = model.tokenizer.encode(story);
  const want = await model.logits(ids);
  expect(offered()).toContain("programs");
  expect(offered()).toContain("mapped files");
  expect(reclaim("programs")).toBeGreaterThan(0);
  reclaim("mapped files");
  expect(offered()).not.toContain("programs");
  expect(offered()).not.toContain("mapped files");
  expect(await model.logits(ids)).toEqual(want);
  expect(offered()).toContain("mapped files");
});

test("cleaning up takes all that is idle, and a closed model has nothing left to offer", async () => {
  await Promise.all([tokensOf(story, 20), tokensOf("The dragon", 20)]);
  const report = cleanUp();
  expect(report.won).toBeGreaterThan(0);
  expect(report.ended).toBe("done");
  const dropped = report.steps.filter(({ name }) => name.startsWith("idle context"));
  expect(dropped.length).toBe(2);
  expect(offered()).toEqual([]);
  await tokensOf(story, 5);
  await model[Symbol.asyncDispose]();
  expect(offered(true)).toEqual([]);
});

test("a limit takes idle contexts before it refuses, one after the other, and then says why", async () => {
  const want = await tokensOf(story, 20);
  await Promise.all([tokensOf(story, 20), tokensOf("The dragon", 20)]);
  const { held } = memoryMetrics();
  const contexts = () => reclaimers.items().filter(({ name }) => name.startsWith("idle context"));
  expect(contexts().length).toBe(2);
  limitMemory(held);
  try {
    // Less than one context has set aside.
    using small = Region.create(1 << 20);
    expect(small.size).toBe(1 << 20);
    expect(contexts().length).toBeGreaterThan(0);
    expect(() => Region.create(held)).toThrow(/the memory limit is reached: .* weights \d/);
    expect(contexts()).toEqual([]);
  } finally {
    limitMemory(Number.POSITIVE_INFINITY);
  }
  expect(await tokensOf(story, 20)).toEqual(want);
});

test("a model that does not fit makes idle contexts go before it is refused", async () => {
  await tokensOf(story, 20);
  const system = systemMemory();
  const parts = { weights: 1, kvCache: 2, working: 3, available: 0 };
  requireFit("small", { ...parts, total: system.available / 2, fits: false });
  expect(offered(true)).toEqual([]);
  const tooLarge = { ...parts, total: 2 * system.total, fits: false };
  expect(() => requireFit("large", tooLarge)).toThrow(
    expect.objectContaining({ code: "engine/too-large" }),
  );
});

test("a model that is forgotten is collected, though it could be reclaimed from", async () => {
  const before = reclaimers.size;
  const forget = async (): Promise<void> => {
    const forgotten = await load("fairy-tales");
    expect(forgotten.info.name).toBe("fairy-tales");
  };
  await forget();
  expect(reclaimers.size).toBe(before + 1);
  for (let round = 0; round < 50 && reclaimers.size > before; round += 1) {
    Bun.gc(true);
    await Bun.sleep(5);
  }
  expect(reclaimers.size).toBe(before);
});
