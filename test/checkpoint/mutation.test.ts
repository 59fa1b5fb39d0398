/**
 * Seeded mutants of sound checkpoints: each opens or is refused by a BitNetError, within time and
 * memory, and together they reach many distinct codes. BITNET_LONG=1 runs 2,000 a format.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpoint, readTensorBytes } from "../../src/checkpoint/index.ts";
import { BitNetError } from "../../src/errors/index.ts";
import { buildGguf, everythingSpec } from "./build-gguf.ts";
import {
  buildSafetensors,
  type HeaderEntry,
  soundDataBytes,
  soundHeader,
  writeFolder,
} from "./build-safetensors.ts";
import { mutateBytes, mutateField, mutateJson } from "./mutate.ts";
import { Random } from "./random.ts";

const filesPerFormat = process.env.BITNET_LONG === "1" ? 2_000 : 250;
const distinctCodesMin = 15;
const secondsMax = 120;
const residentGrowthMax = 128 << 20;

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "bitnet-mutation-"));
});
afterAll(() => rm(root, { recursive: true }));

/** Opens mutants made by `write`, which returns the path to open, and counts how each ended. */
async function campaign(write: (random: Random) => Promise<string>): Promise<void> {
  const outcomes = new Map<string, number>();
  Bun.gc(true);
  const residentBefore = process.memoryUsage().rss;
  const started = performance.now();
  for (let seed = 1; seed <= filesPerFormat; seed++) {
    const outcome = await open(await write(new Random(seed)), seed);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  expect(performance.now() - started).toBeLessThan(secondsMax * 1_000);
  expect(process.memoryUsage().rss - residentBefore).toBeLessThan(residentGrowthMax);
  expect(outcomes.values().reduce((sum, count) => sum + count, 0)).toBe(filesPerFormat);
  const codes = [...outcomes.keys()].filter((outcome) => outcome !== "opened");
  expect(codes.length).toBeGreaterThanOrEqual(distinctCodesMin);
}

async function open(path: string, seed: number): Promise<string> {
  try {
    const { tensors } = await openCheckpoint(path);
    for (const entry of tensors.values()) await readTensorBytes(entry);
    return "opened";
  } catch (error) {
    if (error instanceof BitNetError) return error.code;
    throw new Error(`seed ${seed}: want a BitNetError, got ${String(error)}`, { cause: error });
  }
}

test(
  `${filesPerFormat} mutants of a GGUF file open or are refused`,
  async () => {
    const { bytes, fields } = buildGguf(everythingSpec());
    const path = join(root, "mutant.gguf");
    await campaign(async (random) => {
      const isAimed = random.below(8) < 5;
      const mutant = isAimed
        ? mutateField(bytes, random.pick(fields), random)
        : mutateBytes(bytes, random);
      await writeFile(path, mutant);
      return path;
    });
  },
  secondsMax * 1_000,
);

test(
  `${filesPerFormat} mutants of a safetensors folder open or are refused`,
  async () => {
    const header = JSON.stringify({ __metadata__: { format: "pt" }, ...soundHeader() });
    const weights = buildSafetensors(header, soundDataBytes);
    const names = Object.keys(soundHeader());
    const index = JSON.stringify({
      weight_map: Object.fromEntries(names.map((name) => [name, "a.safetensors"])),
    });
    const sound = {
      "config.json": '{"architectures":["BitNetForCausalLM"],"hidden_size":64}',
      "tokenizer_config.json": '{"chat_template":[{"name":"default","template":"x"}]}',
      "model.safetensors.index.json": index,
      "a.safetensors": weights,
    };
    await campaign((random) => {
      const mutants: (() => object)[] = [
        () => ({ "a.safetensors": mutateBytes(weights, random) }),
        () => ({ "a.safetensors": buildSafetensors(mutateJson(header, random), soundDataBytes) }),
        () => ({ "a.safetensors": buildSafetensors(moveTensor(random), soundDataBytes) }),
        () => ({
          "a.safetensors": mutateField(weights, { kind: "length", offset: 0, bytes: 8 }, random),
        }),
        () => ({ "model.safetensors.index.json": mutateJson(index, random) }),
        () => {
          const name = random.pick(["config.json", "tokenizer_config.json"] as const);
          return { [name]: mutateBytes(new TextEncoder().encode(sound[name]), random) };
        },
      ];
      return writeFolder(join(root, "mutant"), { ...sound, ...random.pick(mutants)() });
    });
  },
  secondsMax * 1_000,
);

/** A header that is well formed, but one tensor lies elsewhere or has another extent. */
function moveTensor(random: Random): Record<string, HeaderEntry> {
  const header = soundHeader();
  const entry = random.pick(Object.values(header));
  const [begin, end] = entry.data_offsets;
  const delta = random.pick([-8, -1, 1, 8, 64, 2 ** 40, 2 ** 53 - 200]);
  const moved = Math.max(0, begin + delta);
  if (random.below(2) === 0) entry.data_offsets = [moved, moved + end - begin];
  else entry.shape = [...entry.shape, Math.abs(delta)];
  return header;
}
