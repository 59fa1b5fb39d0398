/** Converted models are the models they were made of. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpoint, packingNames, readTensorBytes } from "../../src/checkpoint/index.ts";
import {
  type ConvertOptions,
  convertModel,
  inspectPackings,
  load,
  type MatrixPackings,
} from "../../src/index.ts";
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
    expect(converted).toMatchObject({ format: "gguf", denseCount: 0 });
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

describe("convertModel to a packed folder", () => {
  test("every packing gives the logits of every family bit for bit", async () => {
    const families = ["bitnet-2b4t-packed", "1bitllm-3b", "falcon-e", "llama-rmsnorm-packed"];
    for (const [index, packing] of ["auto" as const, ...packingNames].entries()) {
      const name = families[index % families.length]!;
      const path = await convert(name, `${name}-${packing}`, { packing });
      expect(await logitsOf(path)).toEqual(await logitsOf(join(models, name)));
    }
  });

  test("a packed folder can be packed anew and written as GGUF", async () => {
    const first = await convert("bitnet-2b4t-packed", "first", { packing: "sparse" });
    const again = join(folder, "again");
    const converted = await convertModel(first, again, { packing: "base-3" });
    expect(converted).toMatchObject({ format: "safetensors", packings: { "base-3": 14 } });
    const want = await logitsOf(join(models, "bitnet-2b4t-packed"));
    expect(await logitsOf(again)).toEqual(want);
    await convertModel(first, join(folder, "from-packed.gguf"), { type: "TQ1_0" });
    expectClose(await logitsOf(join(folder, "from-packed.gguf")), want, 1e-6);
  });

  test("damaged packings and metadata that does not fit are refused by name", async () => {
    const path = await convert("bitnet-2b4t-packed", "damaged", { packing: "run-length" });
    const file = join(path, "model.safetensors");
    const bytes = await Bun.file(file).bytes();
    const entries = [...(await openCheckpoint(path)).tensors.values()];
    const { offset } = entries.find(({ packing }) => packing === "run-length")!;
    const damaged = bytes.slice();
    damaged[offset]! |= 3;
    await Bun.write(file, damaged);
    const refusal = () =>
      load(path).then(
        () => "loaded",
        (error: { code: string }) => error.code,
      );
    expect(await refusal()).toBe("quant/broken-packing");
    const edits = [
      ["run-length", "run-lengtH", "checkpoint/bad-metadata"],
      ['version\\":1', 'version\\":2', "checkpoint/unsupported-version"],
      ['packings\\":{', 'packingz\\":{', "checkpoint/bad-metadata"],
      [
        "model.layers.0.mlp.up_proj.weight\\",
        "model.layers.0.mlp.uP_proj.weight\\",
        "checkpoint/missing-tensor",
      ],
    ] as const;
    for (const [from, to, code] of edits) {
      const edited = Buffer.from(bytes);
      const at = edited.indexOf(from);
      expect(at).toBeGreaterThan(0);
      edited.write(to, at);
      await Bun.write(file, edited);
      expect(await refusal()).toBe(code);
    }
  });

  test("what cannot become a folder, or is there already, is refused and nothing is left", async () => {
    const names = readdirSync(folder).sort();
    const refusal = (from: string, to: string, options: ConvertOptions) =>
      convertModel(join(models, from), join(folder, to), options).then(
        () => "converted",
        (error: { code?: string; message: string }) => error.code ?? error.message,
      );
    const gguf = "gguf/bitnet-2b4t-tq2_0.gguf";
    expect(await refusal(gguf, "x", { packing: "auto" })).toBe("models/no-folder-form");
    const wrong = { packing: "zip" } as object;
    expect(await refusal("falcon-e", "x", wrong)).toBe("engine/invalid-option");
    expect(await refusal("falcon-e", "damaged", { packing: "auto" })).toBe("checkpoint/unwritable");
    const stop = new AbortController();
    const onProgress = (): void => stop.abort(new Error("enough"));
    const signal = stop.signal;
    expect(await refusal("falcon-e", "x", { packing: "auto", signal, onProgress })).toBe("enough");
    expect(readdirSync(folder).sort()).toEqual(names);
  });

  test("inspectPackings measures every matrix", async () => {
    const all: MatrixPackings[] = [];
    for await (const one of inspectPackings(join(models, "falcon-e"))) all.push(one);
    expect(all).toHaveLength(14);
    for (const { shape, report } of all) {
      const count = shape[0] * shape[1];
      expect(report!.sizes.uncompressed).toBe(count);
      expect(report!.sizes[report!.best]).toBeLessThanOrEqual(count / 4);
      expect(report!.sparsity).toBeGreaterThan(0.1);
    }
  });
});
