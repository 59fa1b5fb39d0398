/** What matrices and norms a decoder has, their shapes, and the memory they take packed. */

import type { TernaryLayout } from "../graph/index.ts";
import type { DecoderConfig } from "./decoder.ts";
import type { ModelPlan } from "./family.ts";
import { reserveSize } from "./store.ts";

export type MatrixRole = "q" | "k" | "v" | "o" | "gate" | "up" | "down";
export type NormRole =
  | "attentionNorm"
  | "attentionSubNorm"
  | "feedForwardNorm"
  | "feedForwardSubNorm";

export const matrixRoles: MatrixRole[] = ["q", "k", "v", "o", "gate", "up", "down"];
export const normRoles: NormRole[] = [
  "attentionNorm",
  "attentionSubNorm",
  "feedForwardNorm",
  "feedForwardSubNorm",
];

/** Outputs and inputs of each projection. */
export function matrixShape(config: DecoderConfig, role: MatrixRole): [number, number] {
  const { hiddenSize, intermediateSize, headCount, groupCount, headWidth } = config;
  switch (role) {
    case "q":
      return [headCount * headWidth, hiddenSize];
    case "k":
    case "v":
      return [groupCount * headWidth, hiddenSize];
    case "o":
      return [hiddenSize, headCount * headWidth];
    case "gate":
    case "up":
      return [intermediateSize, hiddenSize];
    case "down":
      return [hiddenSize, intermediateSize];
  }
}

export function normWidth(
  { hiddenSize, intermediateSize, headCount, headWidth }: DecoderConfig,
  role: NormRole,
) {
  if (role === "feedForwardSubNorm") return intermediateSize;
  return role === "attentionSubNorm" ? headCount * headWidth : hiddenSize;
}

/** Bytes that the store needs at most. */
export function storeSize(
  { config, scheme }: Pick<ModelPlan, "config" | "scheme">,
  { int8Head, packing }: { int8Head: boolean; packing: TernaryLayout },
): number {
  const vector = (width: number): number =>
    reserveSize({ dtype: "f32", layout: "strided", shape: [width] });
  let layer = 0;
  for (const role of matrixRoles) {
    const [rows, cols] = matrixShape(config, role);
    layer += reserveSize({ dtype: "i8", layout: packing, shape: [rows, cols] });
    // Scales, bias and the norm before the projection.
    layer += 2 * vector(rows) + (scheme.projectionNormEps ? vector(cols) : 0);
  }
  for (const role of normRoles) layer += vector(normWidth(config, role));
  const { vocabularySize, hiddenSize } = config;
  const plane = { dtype: "u8", layout: "nibble4", shape: [vocabularySize, hiddenSize] } as const;
  const head = int8Head ? 2 * reserveSize(plane) + 3 * vector(vocabularySize) : 0;
  return config.layerCount * layer + head + vector(hiddenSize) + vector(config.headWidth);
}

/** A tensor's name in one layer. */
export function inLayer(name: string, layer: number): string {
  return name.replace("{}", String(layer));
}
