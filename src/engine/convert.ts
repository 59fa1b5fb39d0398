/** From a model's files to files of another format, and what they would take there. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { openCheckpoint, type PackingName, packingNames } from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import {
  type ConvertGgufOptions,
  convertToFolder,
  convertToGguf,
  type GgufWeightType,
  ggufArchitectures,
  ggufWeightTypes,
  type MatrixPackings,
  reportPackings,
} from "../models/index.ts";
import { checkActivation, type LoadOptions } from "./load.ts";

export interface ConvertOptions extends Omit<ConvertGgufOptions, "onProgress" | "type"> {
  /** Writes GGUF, ternary matrices in this type; TQ2_0 by default. */
  type?: GgufWeightType;
  /** Writes a folder instead, ternary matrices in this packing; `auto`: each in its best. */
  packing?: PackingName | "auto";
  /** The block size of I2_S files that are read; 128 by default. */
  i2sLayout?: 64 | 128;
  onProgress?: (progress: ConvertProgress) => void;
}

export interface ConvertProgress {
  stage: "writing";
  /** Bytes of a GGUF file, tensors of a folder. */
  done: number;
  total: number;
}

/** What was written. */
export type Converted = ConvertedGguf | ConvertedFolder;

export interface ConvertedGguf {
  path: string;
  format: "gguf";
  type: GgufWeightType;
  architecture: string;
  bytes: number;
  /** Matrices that are ternary, and those that were copied as they are. */
  ternaryCount: number;
  denseCount: number;
}

export interface ConvertedFolder {
  path: string;
  format: "safetensors";
  /** Of the weights. */
  bytes: number;
  /** How many matrices each packing holds. */
  packings: Partial<Record<PackingName, number>>;
}

/**
 * Writes a Hugging Face folder or a GGUF file as a new GGUF file, or, with `packing`, a folder as
 * a new folder. What is at `outPath` appears whole or not at all.
 *
 * @example
 * ```ts
 * await convertModel("./my-model", "./my-model.gguf", { type: "TQ1_0" });
 * await convertModel("./my-model", "./my-model-packed", { packing: "auto" });
 * ```
 * @throws BitNetError of `checkpoint`, `models`, `text` or `engine`; the signal's reason
 */
export async function convertModel(
  path: string,
  outPath: string,
  options: ConvertOptions = {},
): Promise<Converted> {
  const { type = "TQ2_0", packing, architecture, hiddenAct } = options;
  checkChoice("type", type, ggufWeightTypes);
  if (packing !== undefined) checkChoice("packing", packing, ["auto", ...packingNames]);
  if (architecture !== undefined) checkChoice("architecture", architecture, ggufArchitectures);
  checkActivation(hiddenAct);
  try {
    return await (packing === undefined
      ? toGguf(path, outPath, { ...options, type })
      : toFolder(path, outPath, { ...options, packing }));
  } catch (error) {
    // Whatever was interrupted, the caller sees the reason it gave.
    options.signal?.throwIfAborted();
    throw error;
  }
}

/**
 * Measures every ternary matrix of a model: sparsity, runs, and its size in each packing.
 * @throws BitNetError of `checkpoint`, `models` or `engine`; the signal's reason
 */
export async function* inspectPackings(
  path: string,
  options: Pick<LoadOptions, "i2sLayout" | "hiddenAct" | "signal"> = {},
): AsyncGenerator<MatrixPackings> {
  const { i2sLayout, hiddenAct, signal } = options;
  checkActivation(hiddenAct);
  yield* reportPackings(await openCheckpoint(path, { i2sLayout, signal }), { hiddenAct, signal });
}

async function toGguf(
  path: string,
  outPath: string,
  { type, ...options }: ConvertOptions & { type: GgufWeightType },
): Promise<ConvertedGguf> {
  const { architecture, hiddenAct, i2sLayout, signal, onProgress, onWarning } = options;
  const checkpoint = await openCheckpoint(path, { i2sLayout, signal });
  const written = await convertToGguf(checkpoint, outPath, {
    type,
    architecture,
    hiddenAct,
    signal,
    onProgress: (done, total) => onProgress?.({ stage: "writing", done, total }),
    onWarning,
  });
  const { size } = await stat(outPath);
  return { path: outPath, format: "gguf", type, bytes: size, ...written };
}

async function toFolder(
  path: string,
  outPath: string,
  { packing, ...options }: ConvertOptions & { packing: PackingName | "auto" },
): Promise<ConvertedFolder> {
  const { signal, onProgress } = options;
  const checkpoint = await openCheckpoint(path, { signal });
  if (checkpoint.format !== "safetensors") {
    throw new BitNetError(
      "models/no-folder-form",
      `${path}: packings are written into a folder beside its configuration, and a GGUF file ` +
        "has none: convert the folder it was made of",
    );
  }
  const packings = await convertToFolder(checkpoint, outPath, {
    packing,
    signal,
    onProgress: (done, total) => onProgress?.({ stage: "writing", done, total }),
  });
  const { size } = await stat(join(outPath, "model.safetensors"));
  return { path: outPath, format: "safetensors", bytes: size, packings };
}

function checkChoice(option: string, value: string, known: readonly string[]): void {
  if (known.includes(value)) return;
  const wanted = known.join(" or ");
  throw new BitNetError("engine/invalid-option", `${option}: want ${wanted}, got ${value}`);
}
