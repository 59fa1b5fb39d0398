/** From a folder or file to a model that runs. */
import { type Checkpoint, openCheckpoint, type TensorEntry } from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import { type GenerationDefaults, readGenerationConfig } from "../generate/index.ts";
import type { TernaryLayout } from "../graph/index.ts";
import { loadDecoder, planModel } from "../models/index.ts";
import { Activation, type ActivationName } from "../native/index.ts";
import { type Tokenizer, tokenizerOf } from "../text/index.ts";
import { type ModelInfo, modelInfo } from "./info.ts";
import { estimateMemory, type MemoryEstimate, requireFit, withMoreWeights } from "./memory.ts";
import { Model } from "./model.ts";
import { checkPacking, choosePacking, tunedThreads, useTunedBlocks } from "./tune.ts";

/** Without a wish, no more context than this is reserved. */
const contextDefault = 4096;

export interface LoadProgress {
  stage: "packing";
  /** Bytes of the checkpoint. */
  done: number;
  total: number;
}

export interface LoadOptions {
  /** Tokens that prompt and answer may have together; by default the model's, up to 4096. */
  contextLength?: number;
  /** `fast` (int8 head, f16 cache) by default; `exact` holds every reference value. */
  precision?: "fast" | "exact";
  /** Threads of each run; by default what tuning found best, or one a processor. */
  threads?: number;
  /**
   * How ternary weights are packed in memory. `auto`, the default, measures which of the two is
   * faster, once a machine; small models take `tile2`. Results have the same bits.
   */
  packing?: TernaryLayout | "auto";
  /** Where measured choices are kept; without it they are measured again in each process. */
  tuningFile?: string;
  /** The block size of I2_S files, which they do not tell; 128 by default. */
  i2sLayout?: 64 | 128;
  /** The activation, which GGUF files do not record, where the rule would be wrong. */
  hiddenAct?: ActivationName;
  signal?: AbortSignal;
  onProgress?: (progress: LoadProgress) => void;
  onWarning?: (text: string) => void;
}

/**
 * Loads a Hugging Face folder or a GGUF file.
 * @throws BitNetError of `checkpoint`, `models`, `text` or `engine`; the signal's reason
 */
export async function loadModel(path: string, options: LoadOptions = {}): Promise<Model> {
  try {
    return await loadChecked(path, options);
  } catch (error) {
    // Whatever was interrupted, the caller sees the reason it gave.
    options.signal?.throwIfAborted();
    throw error;
  }
}

async function loadChecked(path: string, options: LoadOptions): Promise<Model> {
  const { signal } = options;
  const precision = checkPrecision(options.precision);
  const threads = checkThreads(options.threads);
  checkActivation(options.hiddenAct);
  checkPacking(options.packing);
  const checkpoint = await openCheckpoint(path, { i2sLayout: options.i2sLayout, signal });
  const plan = planModel(checkpoint, options.hiddenAct);
  const contextLength = checkContext(options.contextLength, plan.config.contextLength);
  const { tuningFile } = options;
  await useTunedBlocks(tuningFile);
  const packing = await choosePacking(plan, { packing: options.packing, threads, tuningFile });
  const estimate = estimateMemory(checkpoint, plan, { contextLength, precision, packing });
  requireFit(path, estimate);
  const stop = new AbortController();
  const loading = loadDecoder(checkpoint, {
    hiddenAct: options.hiddenAct,
    int8Head: precision === "fast",
    packing,
    signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
    onProgress: (done, total) => options.onProgress?.({ stage: "packing", done, total }),
    onWarning: options.onWarning,
    onExpand: (bytes) => requireFit(path, withMoreWeights(estimate, bytes)),
  });
  let texts: Texts;
  try {
    // The core is busy with the head meanwhile.
    texts = readTexts(checkpoint);
  } catch (error) {
    stop.abort();
    await loading.then(
      (loaded) => loaded[Symbol.dispose](),
      () => {},
    );
    throw error;
  }
  return new Model({
    info: modelInfo(checkpoint, plan),
    ...texts,
    loaded: await loading,
    contextLength,
    precision,
    packing,
    threads: await tunedThreads(threads, tuningFile),
  });
}

interface Texts {
  tokenizer: Tokenizer;
  defaults: GenerationDefaults;
}

function readTexts(checkpoint: Checkpoint): Texts {
  const tokenizer = tokenizerOf(checkpoint);
  const generationConfig = checkpoint.format === "gguf" ? {} : checkpoint.generationConfig;
  const file = `${checkpoint.path}/generation_config.json`;
  const defaults = readGenerationConfig(generationConfig, file);
  const eosTokens = [...new Set([...defaults.eosTokens, ...tokenizer.eosIds])];
  return { tokenizer, defaults: { ...defaults, eosTokens } };
}

/** What `inspectModel` tells of a checkpoint. */
export interface Inspection extends ModelInfo {
  memory: MemoryEstimate;
  tensors: TensorEntry[];
}

/** Reads a model's files without loading it. */
export async function inspectModel(path: string, options: LoadOptions = {}): Promise<Inspection> {
  const precision = checkPrecision(options.precision);
  checkActivation(options.hiddenAct);
  const checkpoint = await openCheckpoint(path, { i2sLayout: options.i2sLayout });
  const plan = planModel(checkpoint, options.hiddenAct);
  const contextLength = checkContext(options.contextLength, plan.config.contextLength);
  return {
    ...modelInfo(checkpoint, plan),
    memory: estimateMemory(checkpoint, plan, { contextLength, precision }),
    tensors: [...checkpoint.tensors.values()],
  };
}

function checkPrecision(precision: LoadOptions["precision"] = "fast"): "fast" | "exact" {
  if (precision === "fast" || precision === "exact") return precision;
  throw new BitNetError(
    "engine/invalid-option",
    `precision: want "fast" or "exact", got ${JSON.stringify(precision)}`,
  );
}

export function checkActivation(name: LoadOptions["hiddenAct"]): void {
  if (name === undefined || Object.hasOwn(Activation, name)) return;
  const known = Object.keys(Activation).join(" or ");
  throw new BitNetError("engine/invalid-option", `hiddenAct: want ${known}, got ${String(name)}`);
}

function checkThreads(threads = 0): number {
  if (Number.isInteger(threads) && threads >= 0 && threads <= 64) return threads;
  throw new BitNetError("engine/invalid-option", `threads: want 1 to 64, got ${threads}`);
}

function checkContext(wanted: number | undefined, limit: number): number {
  const length = wanted ?? Math.min(limit, contextDefault);
  if (Number.isInteger(length) && length >= 1 && length <= limit) return length;
  throw new BitNetError(
    "engine/invalid-option",
    `contextLength: want 1 to ${limit}, which the model was made for, got ${length}`,
  );
}
