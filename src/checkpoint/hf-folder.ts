/**
 * A Hugging Face folder: config.json, safetensors in one file or in shards by an index, and the
 * texts that `text` builds a tokenizer of. The index decides which shard a tensor comes from.
 */
import { isAbsolute, join } from "node:path";
import type { SafetensorsIndexJson } from "@huggingface/hub";
import { kindOf } from "./files.ts";
import {
  ifPresent,
  isObject,
  parseJson,
  readJsonObject,
  readText,
  textBytesMax,
} from "./json-file.ts";
import { quoted, refuse } from "./refuse.ts";
import { readSafetensors, type SafetensorsFile } from "./safetensors.ts";
import type { HfCheckpoint, OpenOptions, TensorEntry } from "./types.ts";

/** File names of the layout. Source: transformers.utils of huggingface/transformers. */
export const hfNames = {
  config: "config.json",
  generationConfig: "generation_config.json",
  weights: "model.safetensors",
  index: "model.safetensors.index.json",
  tokenizer: "tokenizer.json",
  tokenizerConfig: "tokenizer_config.json",
  chatTemplate: "chat_template.jinja",
} as const;

const shardsMax = 10_000;

/** @throws BitNetError when a file is missing, broken or does not fit the others */
export async function openHfFolder(
  folder: string,
  options: OpenOptions & { weightsFile?: string } = {},
): Promise<HfCheckpoint> {
  const config = await readJsonObject(join(folder, hfNames.config), textBytesMax.config);
  const weights = await readWeights(folder, options);
  options.signal?.throwIfAborted();
  const tokenizer = await readTokenizer(folder);
  return {
    format: "safetensors",
    path: folder,
    config,
    generationConfig: (await readObjectIfPresent(folder, "generationConfig")) ?? {},
    ...weights,
    ...(await readTexts(folder)),
    get tokenizerJson() {
      return tokenizer();
    },
  };
}

/** Its text is read at once, and parsed when it is asked for first: it is the largest by far. */
async function readTokenizer(folder: string): Promise<() => unknown> {
  const path = join(folder, hfNames.tokenizer);
  let text = await ifPresent(path, () => readText(path, textBytesMax.tokenizer));
  let json: unknown;
  return () => {
    if (text !== undefined) json = parseJson(path, text);
    text = undefined;
    return json;
  };
}

async function readWeights(
  folder: string,
  options: OpenOptions & { weightsFile?: string },
): Promise<SafetensorsFile> {
  const single = options.weightsFile ?? join(folder, hfNames.weights);
  if ((await kindOf(single)) !== undefined) return readSafetensors(single);
  const indexPath = join(folder, hfNames.index);
  if ((await kindOf(indexPath)) !== undefined) return readShards(folder, indexPath, options);
  refuse("checkpoint/missing-weights", {
    file: folder,
    expected: `${hfNames.weights} or ${hfNames.index}`,
    got: "neither",
    remedy: "convert other weights to safetensors, or fetch the model again",
  });
}

async function readShards(
  folder: string,
  indexPath: string,
  { signal }: OpenOptions,
): Promise<SafetensorsFile> {
  const shardOf = readWeightMap(indexPath, await readJsonObject(indexPath, textBytesMax.index));
  const shards = new Map<string, SafetensorsFile>();
  const tensors = new Map<string, TensorEntry>();
  let fileBytes = 0;
  for (const [name, shardName] of shardOf) {
    signal?.throwIfAborted();
    let shard = shards.get(shardName);
    if (shard === undefined) {
      shard = await readShard(folder, shardName, indexPath);
      shards.set(shardName, shard);
      fileBytes += shard.fileBytes;
    }
    const entry = shard.tensors.get(name);
    if (entry === undefined) {
      refuse("checkpoint/missing-tensor", {
        file: join(folder, shardName),
        expected: `the tensor ${quoted(name)} that ${hfNames.index} puts there`,
        got: `${shard.tensors.size} tensors without it`,
      });
    }
    tensors.set(name, entry);
  }
  return { tensors, fileBytes };
}

async function readShard(
  folder: string,
  shardName: string,
  indexPath: string,
): Promise<SafetensorsFile> {
  const path = join(folder, shardName);
  if ((await kindOf(path)) === undefined) {
    refuse("checkpoint/missing-shard", {
      file: indexPath,
      expected: `the shard ${quoted(shardName)} beside it`,
      got: "no such file",
      remedy: "fetch the missing file",
    });
  }
  return readSafetensors(path);
}

function readWeightMap(
  indexPath: string,
  index: SafetensorsIndexJson | object,
): Map<string, string> {
  const map = "weight_map" in index ? index.weight_map : undefined;
  if (!isObject(map)) {
    refuse("checkpoint/broken-index", {
      file: indexPath,
      expected: "an object weight_map of tensor names to file names",
      got: map === undefined ? "none" : quoted(String(map)),
    });
  }
  const shardOf = new Map<string, string>();
  for (const [name, shardName] of Object.entries(map)) {
    shardOf.set(name, checkShardName(indexPath, name, shardName));
  }
  const shardCount = new Set(shardOf.values()).size;
  if (shardCount === 0 || shardCount > shardsMax) {
    refuse("checkpoint/broken-index", {
      file: indexPath,
      expected: `1 to ${shardsMax} shards`,
      got: `${shardCount}`,
    });
  }
  return shardOf;
}

/** A shard lies inside the folder: no absolute path, no step upwards, no backslash. */
function checkShardName(indexPath: string, tensor: string, shardName: unknown): string {
  const isText = typeof shardName === "string" && shardName !== "" && !shardName.includes("\0");
  if (!isText) {
    refuse("checkpoint/broken-index", {
      file: indexPath,
      expected: `a file name for ${quoted(tensor)}`,
      got: quoted(String(shardName)),
    });
  }
  const steps = shardName.split("/");
  const isUnsafe =
    isAbsolute(shardName) || /[\\:]/.test(shardName) || steps.includes("..") || steps.includes("");
  if (isUnsafe) {
    refuse("checkpoint/unsafe-path", {
      file: indexPath,
      expected: `a file inside the folder for ${quoted(tensor)}`,
      got: quoted(shardName),
    });
  }
  return shardName;
}

type Texts = Pick<HfCheckpoint, "tokenizerConfig" | "chatTemplate">;

async function readTexts(folder: string): Promise<Texts> {
  const tokenizerConfig = await readObjectIfPresent(folder, "tokenizerConfig");
  const templatePath = join(folder, hfNames.chatTemplate);
  const chatTemplate =
    (await ifPresent(templatePath, () => readText(templatePath, textBytesMax.config))) ??
    templateOf(join(folder, hfNames.tokenizerConfig), tokenizerConfig?.chat_template);
  return {
    ...(tokenizerConfig !== undefined && { tokenizerConfig }),
    ...(chatTemplate !== undefined && { chatTemplate }),
  };
}

async function readObjectIfPresent(
  folder: string,
  name: "generationConfig" | "tokenizerConfig",
): Promise<Record<string, unknown> | undefined> {
  const path = join(folder, hfNames[name]);
  return ifPresent(path, () => readJsonObject(path, textBytesMax.config));
}

/** `chat_template` is a text, or a list of named ones of which "default" or the first is meant. */
function templateOf(file: string, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  const named = Array.isArray(value) ? value.filter(isObject) : [];
  const chosen = named.find((one) => one.name === "default") ?? named[0];
  const template = chosen?.template;
  if (typeof template === "string") return template;
  refuse("checkpoint/bad-metadata", {
    file,
    expected: "chat_template as a text or a list of { name, template }",
    got: Array.isArray(value) ? "a list without one" : `a value of type ${typeof value}`,
  });
}
