/**
 * What a model needs and what the machine has, so that one that cannot fit is refused before
 * anything is loaded.
 */
import type { Checkpoint } from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import type { TernaryLayout } from "../graph/index.ts";
import { cleanUp } from "../memory/index.ts";
import { type ModelPlan, storeSize } from "../models/index.ts";
import { pagePositions, systemMemory } from "../native/index.ts";
import { cacheSize } from "../nn/index.ts";
import { prefillRows } from "./programs.ts";

export interface MemoryEstimate {
  /** Packed weights, norms, and tensors used in place. */
  weights: number;
  /** Keys and values of one sequence that fills the context. */
  kvCache: number;
  /** Arenas of the Programs, and the staging buffer while loading. */
  working: number;
  total: number;
  available: number;
  fits: boolean;
}

export interface EstimateOptions {
  contextLength: number;
  precision: "fast" | "exact";
  /** How ternary matrices are packed; `tile2` takes the most. */
  packing?: TernaryLayout;
}

/** Bytes that a model will take. */
export function estimateMemory(
  checkpoint: Checkpoint,
  plan: ModelPlan,
  { contextLength, precision, packing = "tile2" }: EstimateOptions,
): MemoryEstimate {
  const { config, names } = plan;
  const sizes = [...checkpoint.tensors.values()].map(({ bytes }) => bytes);
  const inPlace = new Set([names.embedding, config.tiedHead ? names.embedding : names.head]);
  let mapped = 0;
  for (const name of inPlace) mapped += checkpoint.tensors.get(name)?.bytes ?? 0;
  const weights = storeSize(plan, { int8Head: precision === "fast", packing }) + mapped;
  const kvCache = cacheSize({
    layerCount: config.layerCount,
    pageCount: Math.ceil(contextLength / pagePositions),
    groupCount: config.groupCount,
    headWidth: config.headWidth,
    dtype: precision === "exact" ? "f32" : "f16",
  });
  const rowBytes = 4 * (6 * config.hiddenSize + 4 * config.intermediateSize);
  const working = prefillRows * rowBytes + 3 * Math.max(0, ...sizes);
  const total = weights + kvCache + working;
  const { available } = systemMemory();
  return { weights, kvCache, working, total, available, fits: total <= available };
}

/** The estimate with `bytes` more for weights. */
export function withMoreWeights(estimate: MemoryEstimate, bytes: number): MemoryEstimate {
  const total = estimate.total + bytes;
  const weights = estimate.weights + bytes;
  return { ...estimate, weights, total, fits: total <= estimate.available };
}

/**
 * Frees what is idle elsewhere if the model does not fit otherwise.
 * @throws BitNetError `engine/too-large` with what is needed and what there is.
 */
export function requireFit(path: string, estimate: MemoryEstimate): void {
  if (estimate.fits) return;
  const { weights, kvCache, working, total } = estimate;
  cleanUp({ bytes: total - estimate.available });
  const { available } = systemMemory();
  if (total <= available) return;
  throw new BitNetError(
    "engine/too-large",
    `${path} needs ${formatSize(total)} (weights ${formatSize(weights)}, context ` +
      `${formatSize(kvCache)}, working memory ${formatSize(working)}), but ` +
      `${formatSize(available)} are available: close other programs, ask for a shorter context, ` +
      "or take a smaller model",
  );
}

export function formatSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const unit = bytes < 1 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 2 ** (10 * unit)).toFixed(unit > 2 ? 1 : 0)} ${units[unit]}`;
}
