/**
 * What a file of this folder says of its family: who it is for, how its configuration reads, and
 * what its tensors are called.
 */
import type { DecoderConfig } from "./decoder.ts";

/** Tensor names of a family, `{}` standing for the layer; a norm that it lacks is left out. */
export interface TensorNames {
  embedding: string;
  finalNorm: string;
  head: string;
  attentionNorm: string;
  q: string;
  k: string;
  v: string;
  attentionSubNorm?: string;
  o: string;
  feedForwardNorm: string;
  gate: string;
  up: string;
  feedForwardSubNorm?: string;
  down: string;
}

/** How the float or packed matrices of a checkpoint become ternary. */
export interface WeightScheme {
  /**
   * `packed`: ternary codes with a scale beside them. `absmean`: floats, quantized with their mean
   * magnitude. `found`: blocks or floats that are ternary already stay so, others stay dense.
   */
  kind: "packed" | "absmean" | "found";
  /** Whether a stored `weight_scale` multiplies the product or divides it. */
  scaleMultiplies?: boolean;
  /** eps of the norm before each projection, where the family has one. */
  projectionNormEps?: number;
}

export interface ModelPlan {
  config: DecoderConfig;
  names: TensorNames;
  scheme: WeightScheme;
}

/** Names of the Hugging Face layout that all families share. */
export const huggingFaceNames: TensorNames = {
  embedding: "model.embed_tokens.weight",
  finalNorm: "model.norm.weight",
  head: "lm_head.weight",
  attentionNorm: "model.layers.{}.input_layernorm.weight",
  q: "model.layers.{}.self_attn.q_proj",
  k: "model.layers.{}.self_attn.k_proj",
  v: "model.layers.{}.self_attn.v_proj",
  o: "model.layers.{}.self_attn.o_proj",
  feedForwardNorm: "model.layers.{}.post_attention_layernorm.weight",
  gate: "model.layers.{}.mlp.gate_proj",
  up: "model.layers.{}.mlp.up_proj",
  down: "model.layers.{}.mlp.down_proj",
};
