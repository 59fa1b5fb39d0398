/**
 * What `load` and a loaded model refuse: each time a BitNetError with its code that names the file,
 * what was wanted and what came; within a second or two, and with all memory given back.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, truncate } from "node:fs/promises";
import { basename, join } from "node:path";
import { BitNetError, type ErrorCode, type LoadModelOptions, load } from "../../src/index.ts";
import { memoryMetrics } from "../../src/native/index.ts";
import {
  bytesOf,
  type Damage,
  DamagedModels,
  ggufInfo,
  ggufTensor,
  patched,
  type Safetensors,
} from "./damaged-models.ts";

const packed = "bitnet-2b4t-packed";
const floats = "bitnet-2b4t-bf16";
const ternary = "bitnet-2b4t-tq2_0";
const query = "model.layers.0.self_attn.q_proj.weight";
const secondsMax = 5;

setDefaultTimeout(60_000);

let models: DamagedModels;
beforeAll(async () => {
  models = await DamagedModels.create();
});
afterAll(() => models[Symbol.asyncDispose]());

/** A refusal to load, told in full; `words` are what its message must have besides the file. */
async function refused(
  path: string,
  code: ErrorCode,
  { words = [], options }: { words?: (string | RegExp)[]; options?: LoadModelOptions } = {},
): Promise<void> {
  const { used, mapped, regions } = memoryMetrics();
  const start = performance.now();
  const error: unknown = await load(path, options).then(
    (model) => model[Symbol.asyncDispose](),
    (reason: unknown) => reason,
  );
  if (!(error instanceof BitNetError)) throw new Error(`want ${code}, got ${String(error)}`);
  expect(`${error.code}: ${error.message}`).toStartWith(`${code}: `);
  expect(error.message).toContain(basename(path));
  expect(error.message.length).toBeLessThan(1000);
  for (const word of words) expect(error.message).toMatch(word);
  expect(memoryMetrics()).toMatchObject({ used, mapped, regions });
  expect(performance.now() - start).toBeLessThan(secondsMax * 1000);
}

const config = (changes: object): Record<string, Damage> => ({
  "config.json": (json) => ({ ...json, ...changes }),
});

describe("configuration", () => {
  test("sizes that no model has are refused before anything is allocated", async () => {
    const cases: [object, RegExp][] = [
      [{ hidden_size: 1e9 }, /hidden_size: want a whole number from 1 to \d+, got 1000000000/],
      [{ num_hidden_layers: 1e9 }, /num_hidden_layers: .* got 1000000000/],
      [{ vocab_size: 2 ** 40 }, /vocab_size: .* got 1099511627776/],
      [{ num_attention_heads: 0 }, /num_attention_heads: .* got 0/],
      [{ num_key_value_heads: 3 }, /4 heads do not divide among 3/],
      [{ num_attention_heads: 1.5 }, /num_attention_heads: .* got 1.5/],
      [{ head_dim: 63 }, /even head width, got 63/],
      [{ head_dim: 1 << 20 }, /heads of 1048576 are wider than 1024/],
      [{ max_position_embeddings: -1 }, /max_position_embeddings: .* got -1/],
      [{ intermediate_size: "512" }, /intermediate_size: .* got "512"/],
      [{ hidden_size: null }, /hidden_size: .* got nothing/],
      [{ rms_norm_eps: "x".repeat(10_000) }, /rms_norm_eps: want a number above 0, got "xxx/],
      [{ rope_parameters: { rope_type: "yarn" } }, /want default, linear or llama3, got "yarn"/],
      [{ hidden_act: "gelu" }, /hidden_act: want relu2 or silu, got "gelu"/],
      [{ quantization_config: { quant_method: "gptq" } }, /want bitnet, got "gptq"/],
      [{ quantization_config: undefined }, /no quantization_config/],
    ];
    for (const [changes, words] of cases) {
      const path = await models.folder(packed, config(changes));
      await refused(path, "models/bad-config", { words: ["config.json", words] });
    }
  });

  test("sizes that the tensors contradict are refused by the tensor's name", async () => {
    const cases: [object, ErrorCode, RegExp][] = [
      [{ vocab_size: 513 }, "models/shape-mismatch", /embed_tokens.* want \(513, 256\), got/],
      [{ hidden_size: 512 }, "models/shape-mismatch", /want \(512, 512\), got \(512, 256\)/],
      [{ intermediate_size: 516 }, "models/shape-mismatch", /want \(\d+\), got \(512\)/],
      [{ num_attention_heads: 2, head_dim: 64 }, "models/shape-mismatch", /attn_sub_norm/],
      [{ num_hidden_layers: 3 }, "models/missing-tensor", /model\.layers\.2\./],
      [{ tie_word_embeddings: false }, "models/missing-tensor", /lm_head\.weight/],
    ];
    for (const [changes, code, words] of cases) {
      await refused(await models.folder(packed, config(changes)), code, { words: [words] });
    }
  });

  test("an unknown architecture is refused with those that are known", async () => {
    const cases = [["MambaForCausalLM"], "LlamaForCausalLM", null, ["constructor"], [[["x"]]]];
    for (const architectures of cases) {
      const path = await models.folder(packed, config({ architectures }));
      const words = ["config.json", /architectures is .*LlamaForCausalLM/];
      await refused(path, "models/unknown-architecture", { words });
    }
    const gguf = await models.gguf(ternary, (bytes) => patched(bytes, "bitnet", "gemma9"));
    await refused(gguf, "models/unknown-architecture", { words: ['"gemma9"'] });
  });

  test("broken JSON is refused in each of the files", async () => {
    const files = ["config", "generation_config", "tokenizer", "tokenizer_config"];
    for (const file of files.map((name) => `${name}.json`)) {
      for (const text of ['{"a": 1', "", "[1, 2", "\u0000", "[".repeat(100_000)]) {
        const path = await models.folder(packed, { [file]: text });
        await refused(path, "checkpoint/broken-json", { words: [file, "expected JSON"] });
      }
    }
    const index = "model.safetensors.index.json";
    const sharded = await models.folder("llama3-8b-1.58", { [index]: "{" });
    await refused(sharded, "checkpoint/broken-json", { words: [index] });
    const list = await models.folder(packed, { "config.json": "[]" });
    await refused(list, "checkpoint/broken-json", { words: ["a JSON object, got an array"] });
  });

  test("values of the other files are held to their ranges", async () => {
    const hot = await models.folder(packed, {
      "generation_config.json": (json) => ({ ...json, temperature: -1 }),
    });
    await refused(hot, "generate/invalid-config", { words: [/temperature: .* got -1/] });
    const endless = await models.folder(packed, {
      "generation_config.json": (json) => ({ ...json, eos_token_id: [491, 512] }),
    });
    await refused(endless, "text/token-out-of-range", { words: [/from 0 to 511, got 512/] });
    const deep = `{"model": ${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
    const nested = await models.folder(packed, { "tokenizer.json": deep });
    await refused(nested, "text/invalid-tokenizer", { words: ["model: expected an object"] });
  });
});

describe("files", () => {
  test("a file cut short is refused wherever it ends", async () => {
    const whole = await Bun.file(join(await models.folder(packed), "model.safetensors")).bytes();
    for (const size of [0, 3, 8, 100, 3000, whole.length / 2, whole.length - 1]) {
      const path = await models.folder(packed, { "model.safetensors": whole.slice(0, size) });
      await refused(path, "checkpoint/truncated", {
        words: ["model.safetensors", /got \d+ bytes/],
      });
    }
    for (const part of [0.001, 0.02, 0.5, 0.999]) {
      const cut = (bytes: Uint8Array): Uint8Array => bytes.slice(0, bytes.length * part);
      await refused(await models.gguf(ternary, cut), "checkpoint/truncated");
    }
  });

  test("a header longer than the file, or of 2^60 bytes, is refused", async () => {
    const whole = await Bun.file(join(await models.folder(packed), "model.safetensors")).bytes();
    const withLength = (length: bigint): Record<string, Damage> => {
      const bytes = whole.slice();
      new DataView(bytes.buffer).setBigUint64(0, length, true);
      return { "model.safetensors": bytes };
    };
    const long = await models.folder(packed, withLength(BigInt(whole.length)));
    await refused(long, "checkpoint/truncated", { words: ["model.safetensors"] });
    const absurd = await models.folder(packed, withLength(2n ** 60n));
    const words = ["model.safetensors", "got a length of 1152921504606846976"];
    await refused(absurd, "checkpoint/header-too-large", { words });
  });

  test("tensors that overlap, leave the file or claim 10^9 dimensions are refused", async () => {
    const edits: [(entry: Safetensors["header"][string]) => void, ErrorCode][] = [
      [(entry) => move(entry, -64), "checkpoint/overlap"],
      [(entry) => move(entry, 2 ** 40), "checkpoint/out-of-range"],
      [(entry) => entry.data_offsets.reverse(), "checkpoint/out-of-range"],
      [(entry) => Object.assign(entry, { shape: [1e9, 1e9, 1e9] }), "checkpoint/size-overflow"],
      [(entry) => Object.assign(entry, { shape: [2 ** 60, 1] }), "checkpoint/size-overflow"],
      [(entry) => Object.assign(entry, { shape: [1e9] }), "checkpoint/shape-mismatch"],
      [
        (entry) => Object.assign(entry, { shape: new Array(1000).fill(1) }),
        "checkpoint/too-many-dimensions",
      ],
    ];
    for (const [edit, code] of edits) {
      const path = await models.weights(packed, ({ header }) => edit(lastOf(header)));
      await refused(path, code, { words: ["model.safetensors", "layers.1.self_attn.v_proj"] });
    }
  });

  test("GGUF headers with 10^9 dimensions, 2^60 keys or a text of 2^60 bytes are refused", async () => {
    const at = (offset: number, value: bigint) => (bytes: Uint8Array<ArrayBuffer>) => {
      new DataView(bytes.buffer).setBigUint64(offset, value, true);
      return bytes;
    };
    const tensors = await models.gguf(ternary, at(8, 2n ** 60n));
    await refused(tensors, "checkpoint/too-many-tensors", { words: ["got 1152921504606846976"] });
    const keys = await models.gguf(ternary, at(16, 2n ** 60n));
    await refused(keys, "checkpoint/too-many-keys", { words: ["got 1152921504606846976"] });
    const text = await models.gguf(ternary, at(24, 2n ** 60n));
    await refused(text, "checkpoint/string-too-long", { words: ["got 1152921504606846976"] });
    const dimensions = await models.gguf(ternary, (bytes) => {
      new DataView(bytes.buffer).setUint32(
        ggufInfo(bytes, "output_norm.weight").dimensions,
        1e9,
        true,
      );
      return bytes;
    });
    const words = ["at most 4 dimensions", "got 1000000000"];
    await refused(dimensions, "checkpoint/too-many-dimensions", { words });
    const extents = await models.gguf(ternary, (bytes) =>
      at(ggufInfo(bytes, "blk.0.attn_q.weight").extents, 2n ** 60n)(bytes),
    );
    await refused(extents, "checkpoint/size-overflow", { words: ["blk.0.attn_q.weight"] });
  });

  test("missing files, shards and tensors are refused by name", async () => {
    const noConfig = await models.folder(packed, { "config.json": null });
    await refused(noConfig, "checkpoint/not-a-model", { words: ["config.json"] });
    const noWeights = await models.folder(packed, { "model.safetensors": null });
    await refused(noWeights, "checkpoint/missing-weights", { words: ["model.safetensors"] });
    const noTokenizer = await models.folder(packed, { "tokenizer.json": null });
    await refused(noTokenizer, "text/missing-tokenizer", { words: ["tokenizer.json"] });
    const shard = "model-00002-of-00003.safetensors";
    const noShard = await models.folder("llama3-8b-1.58", { [shard]: null });
    await refused(noShard, "checkpoint/missing-shard", { words: [shard, "no such file"] });
    const misplaced = await models.folder("llama3-8b-1.58", {
      "model.safetensors.index.json": ({ weight_map }) => ({
        weight_map: { ...(weight_map as object), "model.norm.weight": shard },
      }),
    });
    await refused(misplaced, "checkpoint/missing-tensor", { words: [shard, "model.norm.weight"] });
    const renamed = await models.weights(packed, ({ header }) => {
      header["model.norm.other"] = header["model.norm.weight"]!;
      delete header["model.norm.weight"];
    });
    await refused(renamed, "models/missing-tensor", { words: ["no tensor model.norm.weight"] });
    await refused(join(models.root, "absent"), "hub/not-found", { words: ["nothing there"] });
  });

  test("a folder where a file belongs, and a file where a folder does, are refused", async () => {
    for (const file of ["model.safetensors", "config.json", "tokenizer.json"]) {
      const path = await models.folder(packed, { [file]: null });
      await mkdir(join(path, file));
      const words = [file, "expected a file, got a folder"];
      await refused(path, "checkpoint/is-directory", { words });
    }
    const empty = join(models.root, "empty");
    await mkdir(empty);
    await refused(empty, "checkpoint/not-a-model", { words: ["config.json or one GGUF file"] });
    const path = await models.folder(packed);
    await refused(join(path, "config.json"), "checkpoint/not-a-model");
    await refused(join(path, "config.json", "model"), "hub/not-found");
  });
});

describe("tensors", () => {
  test("a dtype that does not fit its place is refused", async () => {
    const cases: [string, string, string, RegExp][] = [
      [packed, query, "I8", /want packed U8 weights, got I8/],
      [packed, "model.embed_tokens.weight", "I16", /want floats, got I16/],
      [packed, "model.norm.weight", "I16", /want floats, got I16/],
      [packed, `${query}_scale`, "I16", /want floats, got I16/],
      [floats, query, "I16", /want F32, F16 or BF16 weights, got I16/],
      ["falcon-e", "lm_head.weight", "I16", /want floats, got I16/],
    ];
    for (const [model, tensor, dtype, words] of cases) {
      const path = await models.weights(model, ({ header }) => {
        header[tensor]!.dtype = dtype;
      });
      await refused(path, "models/unexpected-dtype", {
        words: ["model.safetensors", tensor, words],
      });
    }
  });

  test("a shape that does not fit the configuration is refused", async () => {
    for (const shape of [[256, 64], [16384], [64, 256, 1], [1, 16384]]) {
      const path = await models.weights(packed, ({ header }) => {
        header[query]!.shape = shape;
      });
      const words = [query, `want \\(64, 256\\), got \\(${shape.join(", ")}\\)`];
      await refused(path, "models/shape-mismatch", {
        words: words.map((word) => new RegExp(word)),
      });
    }
  });

  test("a weight_scale that is NaN, infinite, 0 or negative is refused", async () => {
    const scales: [name: string, high: number, low: number][] = [
      ["NaN", 0x7f, 0xc0],
      ["Infinity", 0x7f, 0x80],
      ["0", 0, 0],
      ["-1", 0xbf, 0x80],
    ];
    for (const [name, high, low] of scales) {
      const path = await models.weights(packed, (file) =>
        bytesOf(file, `${query}_scale`).set([low, high]),
      );
      const words = [`${query}_scale: want a number above 0, got ${name}`];
      await refused(path, "models/bad-scale", { words });
    }
  });

  test("block scales that are NaN, infinite or negative are refused", async () => {
    const tensor = "blk.0.attn_q.weight";
    const block = await ggufTensor(ternary, tensor);
    const tail = await ggufTensor("bitnet-2b4t-i2_s", tensor);
    for (const scale of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
      const words = [`${tensor}: want scales from 0, got ${scale}`];
      const tq = await models.gguf(ternary, (bytes) => {
        new DataView(bytes.buffer).setFloat16(block.offset + 64, scale, true);
        return bytes;
      });
      await refused(tq, "models/bad-scale", { words });
      const i2s = await models.gguf("bitnet-2b4t-i2_s", (bytes) => {
        new DataView(bytes.buffer).setFloat32(tail.offset + tail.bytes - 32, scale, true);
        return bytes;
      });
      await refused(i2s, "models/bad-scale", { words });
    }
  });

  test("weights, norms and biases that are not finite are refused", async () => {
    const norm = "model.layers.1.input_layernorm.weight";
    for (const bits of [0x7fc0, 0xff80]) {
      for (const tensor of [query, norm]) {
        const path = await models.weights(floats, (file) =>
          bytesOf(file, tensor).set([bits & 255, bits >> 8], 30),
        );
        await refused(path, "models/not-finite", { words: ["model.safetensors", tensor] });
      }
    }
    const bias = "model.layers.0.self_attn.q_proj.bias";
    const biased = await models.weights("llama-rmsnorm-packed", (file) =>
      bytesOf(file, bias).set([0xc0, 0x7f]),
    );
    await refused(biased, "models/not-finite", { words: [bias] });
    const half = await ggufTensor("1bitllm-3b-f16", "blk.0.attn_q.weight");
    const gguf = await models.gguf("1bitllm-3b-f16", (bytes) => {
      new DataView(bytes.buffer).setFloat16(half.offset, Number.NaN, true);
      return bytes;
    });
    await refused(gguf, "models/not-finite", { words: ["blk.0.attn_q.weight"] });
  });

  test("broken UTF-8 in a vocabulary is refused", async () => {
    const word = new Uint8Array([0x22, 0xff, 0xfe, 0x22]);
    const json = await Bun.file(join(await models.folder(packed), "tokenizer.json")).bytes();
    const folder = await models.folder(packed, { "tokenizer.json": patched(json, '"an"', word) });
    await refused(folder, "checkpoint/broken-utf8", { words: ["tokenizer.json"] });
    const gguf = await models.gguf(ternary, (bytes) =>
      patched(bytes, "<|eot_id|>", new Uint8Array(10).fill(0xff)),
    );
    await refused(gguf, "checkpoint/broken-utf8", { words: ["tokenizer.ggml.tokens"] });
  });

  test("an unknown pre-tokenizer is refused by its name", async () => {
    const path = await models.gguf(ternary, (bytes) => patched(bytes, "llama-bpe", "llama-xyz"));
    await refused(path, "text/unknown-pre-tokenizer", { words: ['"llama-xyz"'] });
  });
});

describe("memory", () => {
  test("a model that cannot fit is refused before it is loaded", async () => {
    const deep = await models.folder(packed, config({ num_hidden_layers: 2 ** 24 }));
    const words = [/needs [\d.]+ TiB \(weights .* context .*\), but [\d.]+ [A-Z]iB are available/];
    await refused(deep, "engine/too-large", { words });
  });

  test("a huge file of holes costs nothing but its refusal", async () => {
    const shape = [2 ** 23, 2 ** 18];
    const bytes = shape[0]! * shape[1]! * 2;
    const path = await models.folder(
      packed,
      config({ vocab_size: shape[0], hidden_size: shape[1], head_dim: 64 }),
    );
    const header = {
      "model.embed_tokens.weight": { dtype: "BF16", shape, data_offsets: [0, bytes] },
    };
    const text = JSON.stringify(header);
    const file = join(path, "model.safetensors");
    const length = new BigUint64Array([BigInt(text.length)]);
    await Bun.write(file, new Blob([length, text]));
    await truncate(file, 8 + text.length + bytes);
    const residentBefore = process.memoryUsage().rss;
    await refused(path, "engine/too-large");
    expect(process.memoryUsage().rss - residentBefore).toBeLessThan(64 << 20);
  });
});

describe("options of loading", () => {
  test("are held to their ranges", async () => {
    const path = await models.folder(packed);
    const cases: [object, ErrorCode, RegExp][] = [
      [{ contextLength: 4097 }, "engine/invalid-option", /want 1 to 4096.* got 4097/],
      [{ contextLength: Number.NaN }, "engine/invalid-option", /got NaN/],
      [{ contextLength: 0 }, "engine/invalid-option", /got 0/],
      [{ threads: -1 }, "engine/invalid-option", /want 1 to 64, got -1/],
      [{ precision: "half" }, "engine/invalid-option", /"fast" or "exact", got "half"/],
      [{ hiddenAct: "toString" }, "engine/invalid-option", /relu2 or silu, got toString/],
      [{ i2sLayout: 32 }, "checkpoint/bad-option", /64 or 128, got 32/],
    ];
    for (const [options, code, words] of cases) {
      const error: unknown = await load(path, options).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ name: "BitNetError", code });
      expect((error as Error).message).toMatch(words);
    }
  });
});

describe("a loaded model", () => {
  test("refuses prompts and options that cannot be, and goes on", async () => {
    await using model = await load(await models.folder(packed), { contextLength: 64 });
    const { used, regions } = memoryMetrics();
    const long = new Array<number>(65).fill(1);
    const cases: [() => unknown, ErrorCode, RegExp][] = [
      [
        () => model.generate([1, 512]),
        "engine/token-out-of-range",
        /token 1 is 512: want .* 0 to 511/,
      ],
      [() => model.generate([1, -1]), "engine/token-out-of-range", /token 1 is -1/],
      [() => model.generate([Number.NaN]), "engine/token-out-of-range", /token 0 is NaN/],
      [() => model.generate(long), "engine/prompt-too-long", /65 tokens, the context holds 64/],
      [() => model.generate("word ".repeat(99)), "engine/prompt-too-long", /context holds 64/],
      [() => model.logits(long), "engine/prompt-too-long", /65 tokens, the context holds 64/],
      [() => model.logits([512]), "engine/token-out-of-range", /token 0 is 512/],
      [() => model.logits([1], { chunk: 0 }), "engine/invalid-option", /from 1, got 0/],
      [() => model.logits([1], { chunk: Number.NaN }), "engine/invalid-option", /got NaN/],
      [() => generateWith({ temperature: Number.NaN }), "generate/invalid-option", /got NaN/],
      [() => generateWith({ topP: 0 }), "generate/invalid-option", /topP: .* got 0/],
      [() => generateWith({ maxTokens: 0.5 }), "generate/invalid-option", /maxTokens: .* got 0.5/],
      [() => generateWith({ stop: "" }), "generate/invalid-option", /stop: .* got ""/],
    ];
    const generateWith = (options: object): unknown => model.generate([1], options);
    for (const [call, code, words] of cases) {
      const error: unknown = await (async () => call())().catch((reason: unknown) => reason);
      expect(error).toMatchObject({ name: "BitNetError", code });
      expect((error as Error).message).toMatch(words);
    }
    expect(memoryMetrics()).toMatchObject({ used, regions });
    expect(await model.logits([1, 2])).toHaveLength(2 * 512);
  });
});

/** The tensor whose bytes end the file. */
function lastOf(header: Safetensors["header"]): Safetensors["header"][string] {
  const entries = Object.values(header);
  return entries.sort((a, b) => a.data_offsets[1] - b.data_offsets[1]).at(-1)!;
}

function move(entry: Safetensors["header"][string], by: number): void {
  const [start, end] = entry.data_offsets;
  entry.data_offsets = [start + by, end + by];
}
