/**
 * Configurations in the Hugging Face layout, in the old and the new style of keys (rope_theta and
 * rope_scaling, or rope_parameters). Families are told by `architectures`: model_type lies in some
 * published files.
 */
import type { HfCheckpoint } from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import { Activation, type ActivationName } from "../native/index.ts";
import type { RopeSettings } from "../nn/index.ts";
import type { DecoderConfig } from "./decoder.ts";
import { huggingFaceNames, type ModelPlan, type TensorNames, type WeightScheme } from "./family.ts";
import { brief, Settings } from "./settings.ts";

const subNorms = {
  attentionSubNorm: "model.layers.{}.self_attn.attn_sub_norm.weight",
  feedForwardSubNorm: "model.layers.{}.mlp.ffn_sub_norm.weight",
};
const firstSubNorms = {
  attentionSubNorm: "model.layers.{}.self_attn.inner_attn_ln.weight",
  feedForwardSubNorm: "model.layers.{}.mlp.ffn_layernorm.weight",
};

/** Of microsoft/bitnet-b1.58-2B-4T. */
export const bitnetNames: TensorNames = { ...huggingFaceNames, ...subNorms };

interface Family {
  family: string;
  names: TensorNames;
  tiedHead: boolean;
}

/** By the class name in `architectures`. */
const families: Record<string, Family> = {
  /** microsoft/bitnet-b1.58-2B-4T. */
  BitNetForCausalLM: {
    family: "bitnet",
    names: bitnetNames,
    tiedHead: true,
  },
  /** Llama with BitLinear: HF1BitLLM Llama-3-8B, Falcon3 1.58-bit, Falcon-E. */
  LlamaForCausalLM: { family: "llama", names: huggingFaceNames, tiedHead: false },
  /** The first releases, 1bitLLM b1.58. */
  BitnetForCausalLM: {
    family: "bitnet-b1.58",
    names: { ...huggingFaceNames, ...firstSubNorms },
    tiedHead: true,
  },
};

/** @throws BitNetError `models/unknown-architecture`, `models/bad-config` */
export function planHuggingFace(checkpoint: HfCheckpoint): ModelPlan {
  const settings = new Settings(`${checkpoint.path}/config.json`, checkpoint.config);
  const { family, names, tiedHead } = findFamily(settings);
  const headCount = settings.size("num_attention_heads");
  const hiddenSize = settings.size("hidden_size");
  const config: DecoderConfig = {
    family,
    vocabularySize: settings.size("vocab_size"),
    hiddenSize,
    intermediateSize: settings.size("intermediate_size"),
    layerCount: settings.size("num_hidden_layers"),
    headCount,
    groupCount: settings.size("num_key_value_heads", headCount),
    headWidth: settings.size("head_dim", Math.floor(hiddenSize / headCount)),
    normEps: settings.positive("rms_norm_eps", 1e-6),
    contextLength: settings.size("max_position_embeddings"),
    activation: activationOf(settings),
    rope: ropeOf(settings),
    tiedHead: settings.flag("tie_word_embeddings", tiedHead),
  };
  return { config: checkShape(config, settings.path), names, scheme: schemeOf(settings, family) };
}

/** Refuses sizes that do not go together. */
export function checkShape(config: DecoderConfig, path: string): DecoderConfig {
  const { headCount, groupCount, headWidth, hiddenSize } = config;
  const refuse = (reason: string): never => {
    throw new BitNetError("models/bad-config", `${path}: ${reason}`);
  };
  if (headCount % groupCount !== 0) {
    refuse(`${headCount} heads do not divide among ${groupCount} key and value heads`);
  }
  if (headWidth % 2 !== 0) refuse(`rotary embedding wants an even head width, got ${headWidth}`);
  if (headWidth > 1024) refuse(`heads of ${headWidth} are wider than 1024`);
  if (hiddenSize > 1 << 20) refuse(`a hidden size of ${hiddenSize} is not a model's`);
  return config;
}

function findFamily(settings: Settings): Family {
  const named = settings.values.architectures;
  const names = Array.isArray(named) ? named : [];
  for (const name of names) if (Object.hasOwn(families, name)) return families[name]!;
  throw new BitNetError(
    "models/unknown-architecture",
    `${settings.path}: architectures is ${brief(named)}; this version runs ` +
      Object.keys(families).join(", "),
  );
}

function activationOf(settings: Settings): ActivationName {
  const name = settings.text("hidden_act", "silu");
  if (Object.hasOwn(Activation, name)) return name as ActivationName;
  const known = Object.keys(Activation).join(" or ");
  throw new BitNetError(
    "models/bad-config",
    `${settings.path}: hidden_act: want ${known}, got ${brief(name)}`,
  );
}

function ropeOf(settings: Settings): RopeSettings {
  const current = settings.group("rope_parameters");
  const scaling = settings.has("rope_parameters") ? current : settings.group("rope_scaling");
  const theta = current.has("rope_theta")
    ? current.positive("rope_theta")
    : settings.positive("rope_theta", 10000);
  const type = scaling.has("rope_type")
    ? scaling.text("rope_type")
    : scaling.text("type", "default");
  switch (type) {
    case "default":
      return { theta };
    case "linear":
      return { theta, linearFactor: scaling.positive("factor") };
    case "llama3":
      return {
        theta,
        llama3: {
          factor: scaling.positive("factor"),
          lowFreqFactor: scaling.positive("low_freq_factor"),
          highFreqFactor: scaling.positive("high_freq_factor"),
          originalContext: scaling.size("original_max_position_embeddings"),
        },
      };
    default:
      throw new BitNetError(
        "models/bad-config",
        `${scaling.path}: rope_type: want default, linear or llama3, got ${brief(type)}`,
      );
  }
}

/** How `weight_scale` is meant: autobitlinear stores the scale, bitlinear its inverse. */
function schemeOf(settings: Settings, family: string): WeightScheme {
  if (!settings.has("quantization_config")) {
    if (family === "bitnet-b1.58") return { kind: "absmean" };
    throw new BitNetError(
      "models/bad-config",
      `${settings.path}: there is no quantization_config, so the weights are not ternary; ` +
        "this version runs BitNet checkpoints only",
    );
  }
  const quantization = settings.group("quantization_config");
  const method = quantization.text("quant_method", "bitnet");
  if (method !== "bitnet") {
    throw new BitNetError(
      "models/bad-config",
      `${quantization.path}: quant_method: want bitnet, got ${brief(method)}`,
    );
  }
  const auto = quantization.text("linear_class", "bitlinear") === "autobitlinear";
  const online = auto && quantization.text("quantization_mode", "offline") === "online";
  const projectionNormEps = quantization.flag("use_rms_norm", false)
    ? quantization.positive("rms_norm_eps", 1e-6)
    : undefined;
  return { kind: online ? "absmean" : "packed", scaleMultiplies: auto, projectionNormEps };
}
