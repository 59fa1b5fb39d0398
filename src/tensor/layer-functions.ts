/**
 * The layers that models are made of, as functions of tensors: norms, rotary positions, gates,
 * losses and BitLinear. All have gradients.
 */
import { binary, divide, unary } from "./elementwise.ts";
import * as layers from "./layers.ts";
import { mean, variance } from "./reductions.ts";
import { Tensor } from "./tensor.ts";

export interface NormLayerOptions {
  /** Added to the mean square, or the variance; 1e-5 by default. */
  eps?: number;
}

/** gamma x / sqrt(mean(x^2) + eps) over the last axis. @throws `tensor/shape-mismatch` */
export function rmsNorm(x: Tensor, gamma: Tensor, { eps = 1e-5 }: NormLayerOptions = {}): Tensor {
  return new Tensor(layers.rmsNorm(x.value, gamma.value, eps));
}

export interface LayerNormOptions extends NormLayerOptions {
  /** What the normal values are multiplied by, and what is added then. */
  gamma?: Tensor;
  beta?: Tensor;
}

/** (x - mean) / sqrt(variance + eps) over the last axis, times gamma, plus beta. */
export function layerNorm(x: Tensor, { gamma, beta, eps = 1e-5 }: LayerNormOptions = {}): Tensor {
  const over = { axes: -1, keepDims: true };
  const centred = binary("sub", x.value, mean(x.value, over));
  const root = unary("sqrt", binary("add", variance(x.value, over), eps));
  let y = divide(centred, root);
  if (gamma) y = binary("mul", y, gamma.value);
  if (beta) y = binary("add", y, beta.value);
  return new Tensor(y);
}

export interface RopeOptions {
  /** The base of the frequencies; 10000 by default. */
  theta?: number;
  /** Pairs are neighbours, instead of elements half a head apart. */
  interleaved?: boolean;
}

/**
 * Rotary positions: pairs of elements of x (rows, ..., width) turned by their row's position,
 * whole numbers (rows). Computed in f32.
 * @throws BitNetError `tensor/shape-mismatch`; reading the result of a negative position throws
 * `native/run-failed`
 */
export function rope(x: Tensor, positions: Tensor, options: RopeOptions = {}): Tensor {
  const { theta = 10_000, interleaved = false } = options;
  return new Tensor(layers.rope(x.value, { positions: positions.value, theta, interleaved }));
}

/** f(gate) up, with gate the first half of the last axis and up the second; f is silu or relu². */
export function gated(x: Tensor, activation: "silu" | "relu2" = "silu"): Tensor {
  return new Tensor(layers.gated(x.value, activation));
}

export interface CrossEntropyOptions {
  /** A class whose rows do not count; -100 by default. */
  ignoreIndex?: number;
  /** Over the rows that count; the mean by default. */
  reduction?: "mean" | "sum" | "none";
}

/** -log softmax(x)[target] for each row of x (..., classes). @throws `tensor/shape-mismatch` */
export function crossEntropy(
  x: Tensor,
  target: Tensor,
  { ignoreIndex = -100, reduction = "mean" }: CrossEntropyOptions = {},
): Tensor {
  const parts = { target: target.value, ignoreIndex, reduction };
  return new Tensor(layers.crossEntropy(x.value, parts));
}

export interface BitLinearOptions {
  /** Added to each output, after scaling. */
  bias?: Tensor;
}

/**
 * A linear layer of 1.58 bits: y = x w^T + bias with rows of x quantized to int8 and weights
 * (outputs, inputs) ternary. `w.to("ternary")` packs them once; float weights are ternarized by
 * absmean each time, and their gradients go straight through, as those of x do.
 *
 * @example
 * ```ts
 * const w = randn([256, 128], { seed: 1 }).to("ternary");
 * const y = bitLinear(x, w); // (rows, 128) to (rows, 256)
 * ```
 * @throws BitNetError `tensor/shape-mismatch` with both shapes
 */
export function bitLinear(x: Tensor, w: Tensor, { bias }: BitLinearOptions = {}): Tensor {
  return new Tensor(layers.bitLinear(x.value, w.stored, bias?.value));
}
