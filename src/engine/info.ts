/** What there is to know of a model without running it. */
import { basename } from "node:path";
import type { Checkpoint } from "../checkpoint/index.ts";
import type { ModelPlan } from "../models/index.ts";

export interface ModelInfo {
  name: string;
  path: string;
  format: "safetensors" | "gguf";
  architecture: string;
  /** Weights in all matrices and vectors, shared ones once. */
  parameters: number;
  layers: number;
  hiddenSize: number;
  intermediateSize: number;
  heads: number;
  keyValueHeads: number;
  vocabularySize: number;
  /** The longest context it was made for. */
  contextLength: number;
  activation: string;
  fileBytes: number;
}

export function modelInfo(checkpoint: Checkpoint, plan: ModelPlan): ModelInfo {
  const { config } = plan;
  return {
    name: basename(checkpoint.path).replace(/\.gguf$/, ""),
    path: checkpoint.path,
    format: checkpoint.format,
    architecture: config.family,
    parameters: countParameters(plan),
    layers: config.layerCount,
    hiddenSize: config.hiddenSize,
    intermediateSize: config.intermediateSize,
    heads: config.headCount,
    keyValueHeads: config.groupCount,
    vocabularySize: config.vocabularySize,
    contextLength: config.contextLength,
    activation: config.activation,
    fileBytes: checkpoint.fileBytes,
  };
}

function countParameters({ config, names }: ModelPlan): number {
  const { hiddenSize, intermediateSize, headCount, groupCount, headWidth } = config;
  const attention = 2 * hiddenSize * headWidth * (headCount + groupCount);
  const feedForward = 3 * hiddenSize * intermediateSize;
  const norms =
    2 * hiddenSize +
    (names.attentionSubNorm ? headCount * headWidth : 0) +
    (names.feedForwardSubNorm ? intermediateSize : 0);
  const tables = config.vocabularySize * hiddenSize * (config.tiedHead ? 1 : 2);
  return config.layerCount * (attention + feedForward + norms) + tables + hiddenSize;
}
