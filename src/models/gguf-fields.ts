/**
 * A configuration as the metadata of a GGUF file, the way back from gguf.ts. Two architectures
 * name the same parts: `bitnet-b1.58` computes relu², as microsoft's programs do, and `bitnet` is
 * what llama.cpp knows and computes with silu.
 * Source: docs/gguf.md of ggml-org/ggml; llm_arch in src/llama-arch.cpp of ggml-org/llama.cpp.
 */
import type { GgufField } from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import type { DecoderConfig } from "./decoder.ts";
import type { ModelPlan } from "./family.ts";

/** Architectures that this library writes. */
export const ggufArchitectures = ["bitnet-b1.58", "bitnet"] as const;
export type GgufArchitecture = (typeof ggufArchitectures)[number];

/** The architecture whose programs compute what the model does. */
export function ggufArchitectureOf({ activation }: DecoderConfig): GgufArchitecture {
  return activation === "relu2" ? "bitnet-b1.58" : "bitnet";
}

/**
 * `general.*` and the architecture's own keys.
 * @throws BitNetError models/no-gguf-form for what the format has no place for
 */
export function ggufConfigFields(
  { config, names, scheme }: ModelPlan,
  architecture: GgufArchitecture,
): Map<string, GgufField> {
  const { rope } = config;
  if (!names.attentionSubNorm || !names.feedForwardSubNorm || scheme.projectionNormEps) {
    throw noForm(config, "a GGUF architecture with its norms");
  }
  if (rope.llama3 !== undefined) throw noForm(config, "a place for llama3's rotary scaling");
  const u32 = (value: number): GgufField => ({ type: "u32", value });
  const f32 = (value: number): GgufField => ({ type: "f32", value });
  const text = (value: string): GgufField => ({ type: "string", value });
  const own: [string, GgufField][] = [
    ["vocab_size", u32(config.vocabularySize)],
    ["context_length", u32(config.contextLength)],
    ["embedding_length", u32(config.hiddenSize)],
    ["block_count", u32(config.layerCount)],
    ["feed_forward_length", u32(config.intermediateSize)],
    ["attention.head_count", u32(config.headCount)],
    ["attention.head_count_kv", u32(config.groupCount)],
    ["attention.key_length", u32(config.headWidth)],
    ["attention.value_length", u32(config.headWidth)],
    ["attention.layer_norm_rms_epsilon", f32(config.normEps)],
    ["rope.dimension_count", u32(config.headWidth)],
    ["rope.freq_base", f32(rope.theta)],
    ["hidden_activation", text(config.activation)],
  ];
  if (rope.linearFactor !== undefined) {
    own.push(["rope.scaling.type", text("linear")]);
    own.push(["rope.scaling.factor", f32(rope.linearFactor)]);
  }
  return new Map([
    ["general.architecture", text(architecture)],
    ...own.map(([key, field]): [string, GgufField] => [`${architecture}.${key}`, field]),
  ]);
}

function noForm({ family }: DecoderConfig, lacking: string): BitNetError {
  return new BitNetError(
    "models/no-gguf-form",
    `a model of the family ${family} has no GGUF form here: the format lacks ${lacking}; ` +
      "keep it as a folder of safetensors",
  );
}
