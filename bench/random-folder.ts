/**
 * Hugging Face folders of random weights in a known geometry, as microsoft/bitnet-b1.58-2B-4T is
 * published: ternary matrices four codes a byte, a bf16 embedding, a byte-level BPE vocabulary with
 * as many merges. The same bytes for the same geometry. Imported by bench/load.ts; runs nothing.
 */
import { existsSync, mkdirSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type SafetensorsSource, writeSafetensors } from "../src/checkpoint/index.ts";
import {
  type DecoderConfig,
  matrixRoles,
  matrixShape,
  normRoles,
  normWidth,
  type TensorNames,
} from "../src/models/index.ts";
import { bf16Source, type RandomBytes, randomWords, ternarySource } from "./random-bytes.ts";

const pieceSize = 1 << 22;

/** The folder in `folder`, written where it is not there yet. */
export async function randomFolder(
  folder: string,
  { name, config, names }: { name: string; config: DecoderConfig; names: TensorNames },
): Promise<string> {
  const path = join(folder, `random-${name}-hf`);
  if (existsSync(path)) return path;
  const partial = `${path}.partial`;
  await rm(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  const tensors = tensorsOf(config, names);
  const metadata = { metadata: () => ({ format: "pt" }), metadataBytesMax: 64 };
  await writeSafetensors(join(partial, "model.safetensors"), { tensors, ...metadata });
  await writeFile(join(partial, "config.json"), JSON.stringify(configOf(config)));
  await writeFile(join(partial, "tokenizer.json"), JSON.stringify(tokenizerOf(config)));
  await rename(partial, path);
  return path;
}

function tensorsOf(config: DecoderConfig, names: TensorNames): SafetensorsSource[] {
  const ternary = ternarySource();
  const { vocabularySize, hiddenSize, layerCount } = config;
  const sources = [
    tensor(names.embedding, "BF16", { shape: [vocabularySize, hiddenSize], from: bf16Source() }),
  ];
  for (let layer = 0; layer < layerCount; layer += 1) {
    const inLayer = (text: string): string => text.replace("{}", String(layer));
    for (const role of normRoles) {
      const norm = names[role];
      if (norm) sources.push(values(inLayer(norm), normWidth(config, role), 1));
    }
    for (const role of matrixRoles) {
      const [rows, cols] = matrixShape(config, role);
      const base = inLayer(names[role]);
      const shape = [Math.ceil(rows / 4), cols];
      sources.push(tensor(`${base}.weight`, "U8", { shape, from: ternary }));
      // Keeps the size of what goes through: two in three weights are not zero.
      sources.push(values(`${base}.weight_scale`, 1, Math.sqrt(1.5 / cols)));
    }
  }
  return [...sources, values(names.finalNorm, hiddenSize, 1)];
}

function tensor(
  name: string,
  dtype: "U8" | "BF16",
  { shape, from }: { shape: number[]; from: RandomBytes },
): SafetensorsSource {
  const size = shape.reduce((product, extent) => product * extent, dtype === "U8" ? 1 : 2);
  return {
    name,
    dtype,
    shape: () => shape,
    *pieces() {
      for (let at = 0; at < size; at += pieceSize) {
        const piece = new Uint8Array(Math.min(pieceSize, size - at));
        from.fill(piece);
        yield piece;
      }
    },
  };
}

function values(name: string, width: number, value: number): SafetensorsSource {
  const content = new Uint8Array(new Float32Array(width).fill(value).buffer);
  return { name, dtype: "F32", shape: () => [width], pieces: () => [content] };
}

function configOf(config: DecoderConfig) {
  return {
    architectures: [config.family],
    vocab_size: config.vocabularySize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layerCount,
    num_attention_heads: config.headCount,
    num_key_value_heads: config.groupCount,
    head_dim: config.headWidth,
    rms_norm_eps: config.normEps,
    max_position_embeddings: config.contextLength,
    hidden_act: config.activation,
    rope_theta: config.rope.theta,
    tie_word_embeddings: config.tiedHead,
    eos_token_id: 0,
    quantization_config: { quant_method: "bitnet", linear_class: "autobitlinear" },
  };
}

/** The bytes, then pairs of what is there, each the merge that makes it. */
function tokenizerOf({ vocabularySize }: DecoderConfig) {
  const random = randomWords(6);
  const letters = byteLetters();
  const tokens = [...letters];
  const known = new Set(tokens);
  const merges: [string, string][] = [];
  while (tokens.length < vocabularySize) {
    const left = tokens[random() % tokens.length]!;
    const right = letters[random() % letters.length]!;
    const merged = left + right;
    if (known.has(merged)) continue;
    known.add(merged);
    tokens.push(merged);
    merges.push([left, right]);
  }
  const byteLevel = { add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", ...byteLevel },
    post_processor: null,
    decoder: { type: "ByteLevel", ...byteLevel },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** GPT-2's letters of the 256 bytes: those that print are themselves. */
function byteLetters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const prints = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCodePoint(prints ? byte : next++);
  });
}
