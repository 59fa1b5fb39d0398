/**
 * The gradient of every op: a rule, or the reason why there is none, which is what whoever asks for
 * one is told. A rule goes from the gradients of an instruction's outputs to those of its inputs,
 * recorded as further instructions; the families stand in files of their own.
 */
import type { OpName } from "../../native/index.ts";
import { elementwiseGradients } from "./elementwise.ts";
import { layerGradients } from "./layers.ts";
import { linalgGradients } from "./linalg.ts";
import { movementGradients } from "./movement.ts";
import { type NoGradient, none, type OpGradient } from "./rule.ts";

const storage = none("it moves weights between packings for storage");
const drawing = none("it draws tokens: the engine samples, and nothing learns from it");
const integerHead = none("the integer head is for generating; learn with a head in floats");
const cache = none("keys and values lie in a cache that the engine writes; attend with matmul");

const withoutGradient = {
  convert: storage,
  quantize_nibbles: storage,
  pack_ternary: storage,
  unpack_packed: storage,
  unpack_ternary: storage,
  abs_stats: none("the scale of ternary weights is a constant to straight-through estimators"),
  int8_matmul: integerHead,
  head_screen: integerHead,
  head_refine: integerHead,
  kv_write: cache,
  attention: cache,
  rope_angles: none("angles are made of positions, which are whole numbers"),
  sampling_probs: drawing,
  sample: drawing,
  emit: drawing,
  stop_when: drawing,
  random_uniform: none("random numbers depend on their seed alone"),
  random_normal: none("random numbers depend on their seed alone"),
  elementwise_chain: none("passes make it of instructions that are differentiated before"),
} satisfies Partial<Record<OpName, NoGradient>>;

/** One entry an op: an op without one does not compile. */
export const gradientRules: Record<OpName, OpGradient> = {
  ...elementwiseGradients,
  ...movementGradients,
  ...layerGradients,
  ...linalgGradients,
  ...withoutGradient,
};
