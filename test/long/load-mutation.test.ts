/**
 * Seeded mutants of whole models, half of them hit in headers, lengths and offsets, go through
 * `loadModel`; one that loads generates two tokens. It works or ends in a BitNetError; memory and
 * time are bounded and nothing is left behind. 100 files a format in the normal suite, 2,000 with
 * BITNET_LONG.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel } from "../../src/engine/index.ts";
import { BitNetError } from "../../src/errors/index.ts";
import { memoryMetrics } from "../../src/native/index.ts";
import { mutateBytes, mutateField, mutateJson } from "../checkpoint/mutate.ts";
import { Random } from "../checkpoint/random.ts";
import { readSafetensors, writeSafetensors } from "../engine/damaged-models.ts";
import { ggufFields } from "./gguf-fields.ts";
import { mutateValue } from "./mutate-value.ts";

const isLong = process.env.BITNET_LONG === "1";
const filesPerFormat = isLong ? 2_000 : 100;
const distinctCodesMin = isLong ? 15 : 8;
const secondsMax = isLong ? 300 : 30;
const secondsEachMax = 5;
const residentGrowthMax = 256 << 20;

const fixtures = join(import.meta.dir, "..", "fixtures", "models");
const folders = ["llama-rmsnorm-packed", "bitnet-2b4t-packed", "1bitllm-3b", "llama3-8b-1.58"];
const ggufs = ["1bitllm-3b-f16", "bitnet-2b4t-tq2_0", "bitnet-2b4t-tq1_0", "bitnet-2b4t-i2_s"];

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "bitnet-load-mutation-"));
});
afterAll(() => rm(root, { recursive: true }));

/** A path to load, and what puts the files right again. */
interface Mutant {
  path: string;
  restore?: () => Promise<void>;
}

async function campaign(write: (random: Random) => Promise<Mutant>): Promise<void> {
  const outcomes = new Map<string, number>();
  Bun.gc(true);
  const residentBefore = process.memoryUsage().rss;
  const started = performance.now();
  for (let seed = 1; seed <= filesPerFormat; seed += 1) {
    const mutant = await write(new Random(seed));
    const outcome = await use(mutant.path, seed);
    await mutant.restore?.();
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  expect(performance.now() - started).toBeLessThan(secondsMax * 1000);
  Bun.gc(true);
  expect(process.memoryUsage().rss - residentBefore).toBeLessThan(residentGrowthMax);
  const codes = [...outcomes.keys()].filter((outcome) => outcome !== "works");
  expect(codes.length).toBeGreaterThanOrEqual(distinctCodesMin);
  expect(outcomes.get("works")).toBeGreaterThan(0);
}

/** Loads and generates: "works" or the code of the refusal, with nothing left behind. */
async function use(path: string, seed: number): Promise<string> {
  const { used, mapped, regions } = memoryMetrics();
  const started = performance.now();
  let outcome = "works";
  try {
    await using model = await loadModel(path);
    const prompt = model.tokenizer.encode("The wolf said").slice(0, 4);
    for (const ids of [prompt, [1, 2, 3]]) {
      await model.generate(ids, { temperature: 0, maxTokens: 2, ignoreEos: true }).text();
    }
  } catch (error) {
    if (!(error instanceof BitNetError)) {
      throw new Error(`seed ${seed}: want a BitNetError, got ${String(error)}`, { cause: error });
    }
    outcome = error.code;
  }
  expect({ seed, ...memoryMetrics() }).toMatchObject({ seed, used, mapped, regions });
  const seconds = (performance.now() - started) / 1000;
  if (seconds > secondsEachMax) throw new Error(`seed ${seed} took ${seconds} s`);
  return outcome;
}

test(
  `${filesPerFormat} mutants of Hugging Face folders work or are refused`,
  async () => {
    const originals = new Map<string, string[]>();
    for (const name of folders) {
      await cp(join(fixtures, name), join(root, name), { recursive: true });
      originals.set(name, (await readdir(join(root, name))).sort());
    }
    await campaign(async (random) => {
      const name = random.pick(folders);
      const path = join(root, name);
      const file = random.pick(originals.get(name)!);
      const isShard = file.endsWith(".safetensors");
      const target = join(path, file);
      const mutant = isShard
        ? await mutateWeights(target, random)
        : await mutateText(target, random);
      await writeFile(target, mutant);
      return { path, restore: () => cp(join(fixtures, name, file), target) };
    });
  },
  secondsMax * 1000,
);

test(
  `${filesPerFormat} mutants of GGUF files work or are refused`,
  async () => {
    const sources = await Promise.all(
      ggufs.map((name) => Bun.file(join(fixtures, "gguf", `${name}.gguf`)).bytes()),
    );
    const fields = sources.map(ggufFields);
    const path = join(root, "mutant.gguf");
    await campaign(async (random) => {
      const which = random.below(sources.length);
      const source = sources[which]!;
      const isAimed = random.below(4) < 3;
      const mutant = isAimed
        ? mutateField(source, random.pick(fields[which]!), random)
        : mutateBytes(source, random);
      await writeFile(path, mutant);
      return { path };
    });
  },
  secondsMax * 1000,
);

/** The length, the header's text, an entry's place or shape, or any bytes of the file. */
async function mutateWeights(path: string, random: Random): Promise<Uint8Array> {
  const bytes = await Bun.file(path).bytes();
  const { header, data } = await readSafetensors(path);
  switch (random.below(6)) {
    case 0:
      return mutateField(bytes, { kind: "length", offset: 0, bytes: 8 }, random);
    case 1:
    case 2: {
      const text = new TextEncoder().encode(mutateJson(JSON.stringify(header), random));
      const mutant = new Uint8Array(8 + text.length + data.length);
      new DataView(mutant.buffer).setBigUint64(0, BigInt(text.length), true);
      mutant.set(text, 8);
      mutant.set(data, 8 + text.length);
      return mutant;
    }
    case 3: {
      const mutated = mutateValue(header, random) as typeof header;
      return writeSafetensors({ header: mutated, data });
    }
    default:
      return mutateBytes(bytes, random);
  }
}

async function mutateText(path: string, random: Random): Promise<Uint8Array | string> {
  const file = Bun.file(path);
  if (random.below(4) > 0) return JSON.stringify(mutateValue(await file.json(), random));
  return mutateBytes(await file.bytes(), random);
}
