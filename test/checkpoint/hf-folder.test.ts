/** Hugging Face folders: configuration, shards, texts; and what is refused about them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HfCheckpoint, openCheckpoint } from "../../src/checkpoint/index.ts";
import type { ErrorCode } from "../../src/errors/index.ts";
import { buildSafetensors, soundDataBytes, soundHeader, writeFolder } from "./build-safetensors.ts";
import { expectRefusal } from "./expect-refusal.ts";

const models = join(import.meta.dir, "../fixtures/models");
const weights = buildSafetensors(soundHeader(), soundDataBytes);
const shardA = buildSafetensors({ a: { dtype: "U8", shape: [4], data_offsets: [0, 4] } }, 4);
const shardB = buildSafetensors({ b: { dtype: "U8", shape: [2], data_offsets: [0, 2] } }, 2);
let root = "";

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "bitnet-folder-"));
});
afterAll(() => rm(root, { recursive: true }));

type Files = Record<string, string | Uint8Array | object>;

async function write(files: Files): Promise<string> {
  return writeFolder(await mkdtemp(join(root, "m-")), files);
}

async function openHf(path: string): Promise<HfCheckpoint> {
  const checkpoint = await openCheckpoint(path);
  if (checkpoint.format !== "safetensors") throw new Error(`opened as ${checkpoint.format}`);
  return checkpoint;
}

describe("a folder", () => {
  test("gives configuration, generation settings, tokenizer and template", async () => {
    const checkpoint = await openHf(join(models, "bitnet-2b4t-packed"));
    expect(checkpoint.config).toMatchObject({ architectures: ["BitNetForCausalLM"] });
    expect(checkpoint.generationConfig).toHaveProperty("eos_token_id");
    expect(checkpoint.tokenizerJson).toHaveProperty("model");
    expect(checkpoint.tokenizerConfig).toHaveProperty("chat_template");
    expect(checkpoint.chatTemplate).toContain("{%");
    expect(checkpoint.fileBytes).toBe(566_700);
  });

  test("in three shards has every tensor of the index, each from its shard", async () => {
    const { tensors, fileBytes } = await openHf(join(models, "llama3-8b-1.58"));
    expect(tensors.size).toBe(51);
    expect(fileBytes).toBe(393_432 + 215_830 + 3_868);
    const head = tensors.get("lm_head.weight")!;
    expect(head.file).toEndWith("model-00001-of-00003.safetensors");
  });

  test("needs no tokenizer and no generation settings", async () => {
    const path = await write({ "config.json": {}, "model.safetensors": weights });
    expect(await openHf(path)).toMatchObject({ config: {}, generationConfig: {}, path });
  });

  test("may be named by its weights file", async () => {
    const path = await write({ "config.json": { a: 1 }, "other.safetensors": weights });
    const checkpoint = await openHf(join(path, "other.safetensors"));
    expect(checkpoint).toMatchObject({ path, config: { a: 1 } });
    expect(checkpoint.tensors.size).toBe(8);
  });
});

describe("the chat template", () => {
  const base = { "config.json": {}, "model.safetensors": weights };
  const named = [
    { name: "tool_use", template: "T" },
    { name: "default", template: "D" },
  ];
  const cases: [string, Files, string | undefined][] = [
    [
      "is the text of tokenizer_config.json",
      { "tokenizer_config.json": { chat_template: "C" } },
      "C",
    ],
    ["is the default of a list", { "tokenizer_config.json": { chat_template: named } }, "D"],
    [
      "is the first where none is default",
      {
        "tokenizer_config.json": { chat_template: named.slice(0, 1) },
      },
      "T",
    ],
    [
      "is chat_template.jinja before all others",
      {
        "tokenizer_config.json": { chat_template: "C" },
        "chat_template.jinja": "J",
      },
      "J",
    ],
    [
      "is absent where nothing names one",
      { "tokenizer_config.json": { chat_template: null } },
      undefined,
    ],
  ];
  for (const [what, files, want] of cases) {
    test(what, async () => {
      expect((await openHf(await write({ ...base, ...files }))).chatTemplate).toBe(want);
    });
  }

  test("of another shape is refused", async () => {
    const path = await write({ ...base, "tokenizer_config.json": { chat_template: 5 } });
    await expectRefusal(openCheckpoint(path), "checkpoint/bad-metadata", "tokenizer_config.json");
  });
});

const index = (weight_map: unknown): object => ({ metadata: {}, weight_map });
const indexName = "model.safetensors.index.json";
const shards: Files = { "a.safetensors": shardA, "b.safetensors": shardB };
const bad = Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d);

const refusals: [string, ErrorCode, string, Files][] = [
  ["broken JSON", "checkpoint/broken-json", "config.json", { "config.json": '{"a":' }],
  ["a config that is a list", "checkpoint/broken-json", "config.json", { "config.json": [] }],
  ["a config that is no UTF-8", "checkpoint/broken-utf8", "config.json", { "config.json": bad }],
  [
    "a config of 9 MB",
    "checkpoint/file-too-large",
    "config.json",
    {
      "config.json": " ".repeat(9 << 20),
    },
  ],
  [
    "broken generation settings",
    "checkpoint/broken-json",
    "generation_config.json",
    {
      "model.safetensors": weights,
      "generation_config.json": "{]",
    },
  ],
  [
    "a tokenizer that is no UTF-8",
    "checkpoint/broken-utf8",
    "tokenizer.json",
    {
      "model.safetensors": weights,
      "tokenizer.json": bad,
    },
  ],
  ["no weights", "checkpoint/missing-weights", "m-", { "pytorch_model.bin": "x" }],
  [
    "a missing shard",
    "checkpoint/missing-shard",
    indexName,
    {
      [indexName]: index({ a: "a.safetensors", b: "gone.safetensors" }),
    },
  ],
  [
    "a tensor that its shard lacks",
    "checkpoint/missing-tensor",
    "a.safetensors",
    {
      [indexName]: index({ a: "a.safetensors", b: "a.safetensors" }),
    },
  ],
  ["an index without a map", "checkpoint/broken-index", indexName, { [indexName]: {} }],
  ["an empty map", "checkpoint/broken-index", indexName, { [indexName]: index({}) }],
  [
    "a shard name that is a number",
    "checkpoint/broken-index",
    indexName,
    {
      [indexName]: index({ a: 5 }),
    },
  ],
  ["an index that is no JSON", "checkpoint/broken-json", indexName, { [indexName]: "{" }],
  ...["../a.safetensors", "/etc/passwd", "x/../../a", "..\\a", "C:a", "x//a"].map(
    (name): [string, ErrorCode, string, Files] => [
      `the shard path ${name}`,
      "checkpoint/unsafe-path",
      indexName,
      { [indexName]: index({ a: name }) },
    ],
  ),
];

describe("refuses", () => {
  for (const [what, code, file, files] of refusals) {
    test(`${what}: ${code}`, async () => {
      const path = await write({ "config.json": {}, ...shards, ...files });
      await expectRefusal(openCheckpoint(path), code, file);
    });
  }

  test("a path where nothing is", async () => {
    await expectRefusal(openCheckpoint(join(root, "no")), "checkpoint/not-found", "no");
  });

  test("an empty folder, a file of another kind and a file of three bytes", async () => {
    const path = await write({ "notes.txt": "hello", tiny: "abc" });
    const empty = await write({});
    await expectRefusal(openCheckpoint(empty), "checkpoint/not-a-model", empty);
    const notes = join(path, "notes.txt");
    await expectRefusal(openCheckpoint(notes), "checkpoint/not-a-model", "notes.txt");
    await expectRefusal(openCheckpoint(join(path, "tiny")), "checkpoint/truncated", "tiny");
  });

  test("a directory in the place of the weights or the configuration", async () => {
    const path = await write({ "config.json": {} });
    await mkdir(join(path, "model.safetensors"));
    await expectRefusal(openCheckpoint(path), "checkpoint/is-directory", "model.safetensors");
    const other = await write({ "model.safetensors": weights });
    await mkdir(join(other, "config.json"));
    await expectRefusal(openCheckpoint(other), "checkpoint/is-directory", "config.json");
  });

  test.skipIf(process.platform === "win32")("a device in the place of a file", async () => {
    await expectRefusal(openCheckpoint("/dev/null"), "checkpoint/not-a-file", "null");
  });
});
