/** Logits are the same bits on every level, thread count, chunk size, and beside other work. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { loadModel, type Model } from "../../src/engine/index.ts";
import { coreInfo, openCore } from "../../src/native/index.ts";

const path = join(import.meta.dir, "..", "fixtures", "models");
const models = ["bitnet-2b4t-packed", "falcon3-1.58", "llama-rmsnorm-packed"];
const ids = Array.from({ length: 150 }, (_, index) => (index * 37 + 11) % 480);

afterAll(() => openCore());

for (const name of models) {
  const open = (threads = 0): Promise<Model> => loadModel(join(path, name), { threads });

  test(`${name}: logits are the same bits in chunks of 1, 7, 64 and all`, async () => {
    await using model = await open();
    const all = await model.logits(ids);
    for (const chunk of [1, 7, 64]) expect(await model.logits(ids, { chunk })).toEqual(all);
  });

  test(`${name}: logits are the same bits on 1, 2, 3 and 8 threads`, async () => {
    let first: Float32Array | undefined;
    for (const threads of [1, 2, 3, 8]) {
      await using model = await open(threads);
      const logits = await model.logits(ids);
      first ??= logits;
      expect(logits).toEqual(first);
    }
  });

  test(`${name}: logits and text are the same bits in either packing`, async () => {
    await using two = await loadModel(join(path, name), { packing: "tile2" });
    await using three = await loadModel(join(path, name), { packing: "tile3" });
    expect([two.packing, three.packing]).toEqual(["tile2", "tile3"]);
    expect(await three.logits(ids)).toEqual(await two.logits(ids));
    const options = { temperature: 0.8, seed: 3, maxTokens: 40, ignoreEos: true };
    const [a, b] = [two.generate(ids, options), three.generate(ids, options)];
    expect(await b.text()).toBe(await a.text());
  });

  test(`${name}: logits are the same bits on every instruction-set level`, async () => {
    let first: Float32Array | undefined;
    for (const isa of coreInfo().isaLevels) {
      openCore({ isa });
      await using model = await open();
      const logits = await model.logits(ids);
      first ??= logits;
      expect(logits).toEqual(first);
    }
    openCore();
  });
}

test("the text is the same for one seed on any thread count and level, with every filter on", async () => {
  const texts = new Set<string>();
  for (const isa of coreInfo().isaLevels) {
    openCore({ isa });
    for (const threads of [1, 3]) {
      await using model = await loadModel(join(path, "..", "..", "..", "models", "fairy-tales"), {
        threads,
      });
      const options = { temperature: 0.9, topK: 40, topP: 0.95, minP: 0.02, seed: 7 };
      const generation = model.generate("Once upon a time", { ...options, maxTokens: 80 });
      texts.add(await generation.text());
    }
  }
  openCore();
  expect(texts.size).toBe(1);
});
