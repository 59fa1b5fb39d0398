/** Choices that only change speed: how they are measured, kept, forced, and that no file harms. */
import { afterAll, describe, expect, test } from "bun:test";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel } from "../../src/engine/index.ts";
import { choosePacking, tune, tunedThreads } from "../../src/engine/tune.ts";
import {
  blockCandidates,
  machineKey,
  readTuning,
  writeTuning,
} from "../../src/engine/tuning-file.ts";
import type { DecoderConfig } from "../../src/models/index.ts";
import { coreInfo, setBlockSizes } from "../../src/native/index.ts";

const folder = await mkdtemp(join(tmpdir(), "bitnet-tuning-"));
afterAll(() => rm(folder, { recursive: true }));

const fixtures = join(import.meta.dir, "..", "fixtures", "models");

/** Sizes alone matter to the choice. */
function planOf(hiddenSize: number, layerCount: number) {
  const config: DecoderConfig = {
    family: "BitNetForCausalLM",
    vocabularySize: 32,
    hiddenSize,
    intermediateSize: 3 * hiddenSize,
    layerCount,
    headCount: hiddenSize / 64,
    groupCount: hiddenSize / 64,
    headWidth: 64,
    normEps: 1e-5,
    contextLength: 64,
    activation: "relu2",
    rope: { theta: 10_000 },
    tiedHead: true,
  };
  return { config };
}

const large = planOf(2048, 30);
const small = planOf(256, 4);
const key = machineKey(0);

describe("the choice of a packing", () => {
  test("is what was asked for, whatever the file says", async () => {
    const tuningFile = join(folder, "forced.json");
    await writeTuning(tuningFile, key, { packing: { tile2: 1, tile3: 2 } });
    for (const packing of ["tile2", "tile3"] as const) {
      expect(await choosePacking(large, { packing, threads: 0, tuningFile })).toBe(packing);
    }
  });

  test("follows the rates in the file, base 3 only where it is clearly faster", async () => {
    const tuningFile = join(folder, "rates.json");
    for (const [tile3, want] of [
      [90, "tile2"],
      [101, "tile2"],
      [120, "tile3"],
    ] as const) {
      await writeTuning(tuningFile, key, { packing: { tile2: 100, tile3 } });
      expect(await choosePacking(large, { threads: 0, tuningFile })).toBe(want);
    }
  });

  test("is tile2 for models that lie in caches, and measures nothing", async () => {
    const tuningFile = join(folder, "small.json");
    expect(await choosePacking(small, { threads: 0, tuningFile })).toBe("tile2");
    expect(await readdir(folder)).not.toContain("small.json");
  });

  test("is kept by a load's packing and refused where it is none", async () => {
    const path = join(fixtures, "bitnet-2b4t-packed");
    await using model = await loadModel(path);
    expect(model.packing).toBe("tile2");
    const wrong = { packing: "tile4" as "tile2" };
    await expect(loadModel(path, wrong)).rejects.toMatchObject({ code: "engine/invalid-option" });
  });
});

describe("the file", () => {
  test("keeps what other measurements of the machine, and other machines, have left", async () => {
    const file = join(folder, "kept.json");
    await writeTuning(file, "another", { threads: { decode: 3, prefill: 4 } });
    await writeTuning(file, key, { packing: { tile2: 5, tile3: 6 } });
    await writeTuning(file, key, { threads: { decode: 1, prefill: 2 } });
    expect(await readTuning(file, key)).toEqual({
      packing: { tile2: 5, tile3: 6 },
      threads: { decode: 1, prefill: 2 },
    });
    expect(await readTuning(file, "another")).toEqual({ threads: { decode: 3, prefill: 4 } });
    expect(await readdir(folder)).toContain("kept.json");
    expect((await readdir(folder)).filter((name) => name.startsWith("kept.json."))).toEqual([]);
  });

  test("tells nothing when it is missing, damaged, of another version or makes no sense", async () => {
    const file = join(folder, "damaged.json");
    expect(await readTuning(file, key)).toEqual({});
    const texts = [
      "",
      '{"version": 1, "machi',
      "null",
      "[]",
      JSON.stringify({ version: 2, machines: { [key]: { threads: { decode: 1, prefill: 1 } } } }),
      JSON.stringify({ version: 1, machines: { [key]: { threads: { decode: 0, prefill: 1 } } } }),
      JSON.stringify({ version: 1, machines: { [key]: { packing: { tile2: "5", tile3: 6 } } } }),
      JSON.stringify({ version: 1, machines: { [key]: 7 } }),
      ...[{ ternarySize: 7 }, { denseColumns: "256" }, { ternaryColumns: -1024 }, [1024], null].map(
        (blocks) => JSON.stringify({ version: 1, machines: { [key]: { blocks } } }),
      ),
    ];
    for (const text of texts) {
      await writeFile(file, text);
      expect(await readTuning(file, key)).toEqual({});
      expect(await writeTuning(file, key, { threads: { decode: 1, prefill: 1 } })).toBe(true);
      expect(await readTuning(file, key)).toEqual({ threads: { decode: 1, prefill: 1 } });
    }
  });

  test("that cannot be written is no error", async () => {
    const inTheWay = join(folder, "a-file");
    await writeFile(inTheWay, "");
    expect(await writeTuning(join(inTheWay, "tuning.json"), key, {})).toBe(false);
    const closed = join(folder, "closed.json");
    await writeTuning(closed, key, {});
    await chmod(closed, 0o444);
    // Whoever may write the folder may replace the file; what counts is that nothing is thrown.
    await writeTuning(closed, key, { threads: { decode: 1, prefill: 1 } });
  });
});

test("blocks in the file: those that make sense are used by loads, one by one", async () => {
  const tuningFile = join(folder, "blocks.json");
  const blocks = { ternaryColumns: 1024, ternarySize: 3, denseColumns: 512, other: 1 };
  await writeFile(tuningFile, JSON.stringify({ version: 1, machines: { [key]: { blocks } } }));
  const { blocks: sizes } = await readTuning(tuningFile, key);
  expect(sizes).toEqual({ ternaryColumns: 1024, denseColumns: 512 });
  const path = join(fixtures, "bitnet-2b4t-packed");
  const prompt = Array.from({ length: 40 }, (_, index) => index % 30);
  const logits = async (file?: string): Promise<Float32Array> => {
    await using model = await loadModel(path, { ...(file && { tuningFile: file }) });
    return await model.logits(prompt);
  };
  try {
    expect(await logits(tuningFile)).toEqual(await logits());
  } finally {
    setBlockSizes({});
  }
});

test("tune: measures every count of threads, keeps the best, and loads use it", async () => {
  const tuningFile = join(folder, "deep", "tuning.json");
  const seen: number[] = [];
  const result = await tune({
    tuningFile,
    seconds: 0.001,
    size: 1 << 20,
    onMeasured: ({ threads }) => seen.push(threads),
  });
  expect(seen).toEqual(result.measured.map(({ threads }) => threads));
  expect(seen[0]).toBe(1);
  expect(seen.at(-1)).toBe(coreInfo().threads);
  expect(result.stored).toBe(true);
  for (const { decode, prefill } of result.measured) {
    for (const rate of [decode.tile2, decode.tile3, prefill]) expect(rate).toBeGreaterThan(0);
  }
  expect(result.measuredBlocks.map(({ name }) => name)).toEqual(
    Object.keys(blockCandidates) as (keyof typeof blockCandidates)[],
  );
  for (const { name, gains, chosen } of result.measuredBlocks) {
    expect(Object.keys(gains).map(Number)).toEqual([...blockCandidates[name]]);
    const best = Math.max(...Object.values(gains));
    expect(chosen).toEqual(best < 1.03 ? {} : { [name]: expect.any(Number) });
    if (chosen[name]) expect(gains[chosen[name]]).toBe(best);
  }
  const { blocks } = await readTuning(tuningFile, key);
  expect(blocks ?? {}).toEqual(result.blocks);
  setBlockSizes({});
  expect(await tunedThreads(0, tuningFile)).toEqual(result.threads);
  expect(await tunedThreads(3, tuningFile)).toEqual({ decode: 3, prefill: 3 });
  expect(await choosePacking(large, { threads: 0, tuningFile })).toBe(result.packing);
  expect(JSON.parse(await readFile(tuningFile, "utf8")).version).toBe(1);
});
