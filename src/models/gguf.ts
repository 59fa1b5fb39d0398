/**
 * Configurations in GGUF metadata. Only files of this library record the activation, in
 * `hidden_activation`. Of others `bitnet-b1.58`, and `bitnet` with a byte-level vocabulary (the
 * 2B-4T model's), have relu²; `bitnet` with a SentencePiece vocabulary (the first releases') has
 * silu. The option `hiddenAct` overrides it.
 */
import type { GgufCheckpoint } from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import { Activation, type ActivationName } from "../native/index.ts";
import type { ModelPlan, TensorNames } from "./family.ts";
import { checkShape } from "./hugging-face.ts";
import { brief, Settings } from "./settings.ts";

export const ggufNames: TensorNames = {
  embedding: "token_embd.weight",
  finalNorm: "output_norm.weight",
  head: "output.weight",
  attentionNorm: "blk.{}.attn_norm.weight",
  q: "blk.{}.attn_q",
  k: "blk.{}.attn_k",
  v: "blk.{}.attn_v",
  attentionSubNorm: "blk.{}.attn_sub_norm.weight",
  o: "blk.{}.attn_output",
  feedForwardNorm: "blk.{}.ffn_norm.weight",
  gate: "blk.{}.ffn_gate",
  up: "blk.{}.ffn_up",
  feedForwardSubNorm: "blk.{}.ffn_sub_norm.weight",
  down: "blk.{}.ffn_down",
};

const architectures = ["bitnet", "bitnet-b1.58"];

/** @throws BitNetError `models/unknown-architecture`, `models/bad-config` */
export function planGguf(checkpoint: GgufCheckpoint, hiddenAct?: ActivationName): ModelPlan {
  const settings = new Settings(checkpoint.path, Object.fromEntries(checkpoint.metadata));
  const architecture = settings.text("general.architecture", "");
  if (!architectures.includes(architecture)) {
    throw new BitNetError(
      "models/unknown-architecture",
      `${checkpoint.path}: general.architecture is ${brief(architecture)}; this version reads GGUF ` +
        `files of ${architectures.join(" and ")}`,
    );
  }
  const size = (key: string, fallback?: number): number =>
    settings.size(`${architecture}.${key}`, fallback);
  const hiddenSize = size("embedding_length");
  const headCount = size("attention.head_count");
  const embedding = checkpoint.tensors.get(ggufNames.embedding);
  const scalingType = settings.text(`${architecture}.rope.scaling.type`, "none");
  const factor = settings.positive(`${architecture}.rope.scaling.factor`, 1);
  if (scalingType !== "none" && scalingType !== "linear") {
    throw new BitNetError(
      "models/bad-config",
      `${checkpoint.path}: rope.scaling.type: want none or linear, got ${brief(scalingType)}`,
    );
  }
  const config = {
    family: architecture,
    vocabularySize: size("vocab_size", embedding?.shape[0]),
    hiddenSize,
    intermediateSize: size("feed_forward_length"),
    layerCount: size("block_count"),
    headCount,
    groupCount: size("attention.head_count_kv", headCount),
    headWidth: size("attention.key_length", Math.floor(hiddenSize / headCount)),
    normEps: settings.positive(`${architecture}.attention.layer_norm_rms_epsilon`, 1e-5),
    contextLength: size("context_length"),
    activation: hiddenAct ?? activationOf(settings, architecture),
    rope: {
      theta: settings.positive(`${architecture}.rope.freq_base`, 10000),
      ...(factor === 1 ? {} : { linearFactor: factor }),
    },
    tiedHead: !checkpoint.tensors.has(ggufNames.head),
  };
  return {
    config: checkShape(config, checkpoint.path),
    names: ggufNames,
    scheme: { kind: "found" },
  };
}

function activationOf(settings: Settings, architecture: string): ActivationName {
  const named = settings.text(`${architecture}.hidden_activation`, "");
  if (Object.hasOwn(Activation, named)) return named as ActivationName;
  if (architecture === "bitnet-b1.58") return "relu2";
  return settings.text("tokenizer.ggml.model", "") === "gpt2" ? "relu2" : "silu";
}
