/** Converted models are the models they were made of. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpoint, readTensorBytes } from "../../src/checkpoint/index.ts";
import { type ConvertOptions, convertModel, load } from "../../src/index.ts";
import { memoryMetrics } from "../../src/native/index.ts";

const folder = mkdtempSync(join(tmpdir(), "convert-"));
afterAll(() => rmSync(folder, { recursive: true }));
const models = join(import.meta.dir, "../fixtures/models");
const ids = [1, 5, 9, 200, 33, 7, 100, 64];

async function logitsOf(path: string): Promise<Float32Array> {
  await using model = await load(path, { precision: "exact" });
  return model.logits(ids);
}

/** Differences are below `tolerance` of the largest value. */
function expectClose(got: Float32Array, want: Float32Array, tolerance: number): void {
  const largest = want.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const differences = want.map((value, index) => Math.abs(value - got[index]!));
  expect(Math.max(...differences)).toBeLessThan(tolerance * largest);
}

async function convert(from: string, name: string, options: ConvertOptions): Promise<string> {
  const path = join(folder, name);
  await convertModel(join(models, from), path, options);
  return path;
}

describe("convertModel to GGUF", () => {
  test("a folder's logits stay: scales of bf16 fit a half, the smallest embeddings nearly", async () => {
    const want = await logitsOf(join(models, "bitnet-2b4t-packed"));
    for (const type of ["I2_S", "TQ1_0", "TQ2_0", "F16"] as const) {
      const path = await convert("bitnet-2b4t-packed", `packed-${type}.gguf`, { type });
      expectClose(await logitsOf(path), want, 1e-6);
    }
  });

  test("float weights are quantized as loading does, and the activation is kept", async () => {
    const want = await logitsOf(join(models, "1bitllm-3b"));
    const path = await convert("1bitllm-3b", "absmean.gguf", { type: "I2_S" });
    expectClose(await logitsOf(path), want, 1e-6);
  });

  test("the tokenizer of a folder reads and writes the same in the file", async () => {
    const text = "Once upon a time, 12 w\u00f6lves\n\tdidn't  sleep.<|endoftext|>";
    for (const name of ["bitnet-2b4t-packed", "1bitllm-3b"]) {
      await using source = await load(join(models, name));
      await using converted = await load(await convert(name, `${name}.gguf`, { type: "F16" }));
      const tokens = source.tokenizer.encode(text);
      expect(converted.tokenizer.encode(text)).toEqual(tokens);
      expect(converted.tokenizer.decode(tokens)).toBe(source.tokenizer.decode(tokens));
      expect(converted.tokenizer.eosIds).toEqual(source.tokenizer.eosIds);
      expect(converted.tokenizer.bosId).toBe(source.tokenizer.bosId);
    }
  });

  test("from one GGUF type to another and back, every tensor is the one it was", async () => {
    const from = await openCheckpoint(join(models, "gguf/bitnet-2b4t-tq2_0.gguf"));
    const between = await convert("gguf/bitnet-2b4t-tq2_0.gguf", "tq1.gguf", { type: "TQ1_0" });
    const back = join(folder, "back.gguf");
    const converted = await convertModel(between, back, { type: "TQ2_0" });
    expect(converted.denseCount).toBe(0);
    const to = await openCheckpoint(back);
    for (const [name, entry] of from.tensors) {
      const other = to.tensors.get(name)!;
      if (entry.dtype !== other.dtype) continue;
      expect(await readTensorBytes(other)).toEqual(await readTensorBytes(entry));
    }
    const ternary = [...from.tensors.values()].filter(({ dtype }) => dtype === "TQ2_0");
    expect(ternary.length).toBeGreaterThan(0);
    for (const { name } of ternary) expect(to.tensors.get(name)!.dtype).toBe("TQ2_0");
  });

  test("matrices that do not divide into blocks are halves, with a warning", async () => {
    const warnings: string[] = [];
    const options: ConvertOptions = { type: "TQ2_0", onWarning: (text) => warnings.push(text) };
    const path = await convert("1bitllm-3b", "ragged.gguf", options);
    expect(warnings.join("\n")).toContain("does not divide into blocks of TQ2_0: it is F16");
    expect((await openCheckpoint(path)).tensors.get("blk.0.ffn_down.weight")!.dtype).toBe("F16");
    // The scale of halves is rounded to one.
    expectClose(await logitsOf(path), await logitsOf(join(models, "1bitllm-3b")), 0.02);
  });

  test("refuses families that the format has no place for, and options that make no sense", async () => {
    const path = join(folder, "refused.gguf");
    const refusal = (name: string, options: object = {}) =>
      convertModel(join(models, name), path, options).then(
        () => "converted",
        (error: { code: string }) => error.code,
      );
    for (const name of ["falcon-e", "llama-rmsnorm-online", "llama3-8b-1.58"]) {
      expect(await refusal(name)).toBe("models/no-gguf-form");
    }
    expect(await refusal("falcon-e", { type: "Q4_0" })).toBe("engine/invalid-option");
    expect(await refusal("falcon-e", { architecture: "llama" })).toBe("engine/invalid-option");
    expect(await refusal("absent")).toBe("checkpoint/not-found");
  });

  test("an interrupted conversion leaves no file and no memory behind", async () => {
    const before = memoryMetrics().used;
    const names = readdirSync(folder);
    const stop = new AbortController();
    const outcome = convertModel(join(models, "bitnet-2b4t-packed"), join(folder, "half.gguf"), {
      signal: stop.signal,
      onProgress: ({ done, total }) => {
        if (done > total / 2) stop.abort(new Error("enough"));
      },
    });
    expect(outcome).rejects.toThrow("enough");
    await outcome.catch(() => {});
    expect(readdirSync(folder)).toEqual(names);
    expect(memoryMetrics().used).toBe(before);
  });
});
