/** From a model's files to files of another format. */
import { stat } from "node:fs/promises";
import { openCheckpoint } from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import {
  type ConvertGgufOptions,
  convertToGguf,
  type GgufWeightType,
  ggufArchitectures,
  ggufWeightTypes,
} from "../models/index.ts";
import { checkActivation } from "./load.ts";

export interface ConvertOptions extends Omit<ConvertGgufOptions, "onProgress" | "type"> {
  /** How ternary matrices are written; TQ2_0 by default. */
  type?: GgufWeightType;
  /** The block size of I2_S files that are read; 128 by default. */
  i2sLayout?: 64 | 128;
  onProgress?: (progress: ConvertProgress) => void;
}

export interface ConvertProgress {
  stage: "writing";
  /** Bytes of the new file. */
  done: number;
  total: number;
}

/** What was written. */
export interface Converted {
  path: string;
  format: "gguf";
  type: GgufWeightType;
  architecture: string;
  bytes: number;
  /** Matrices that are ternary, and those that were copied as they are. */
  ternaryCount: number;
  denseCount: number;
}

/**
 * Writes a Hugging Face folder or a GGUF file as a new GGUF file. The file at `outPath` appears
 * whole or not at all.
 *
 * @example
 * ```ts
 * await convertModel("./my-model", "./my-model.gguf", { type: "TQ1_0" });
 * ```
 * @throws BitNetError of `checkpoint`, `models`, `text` or `engine`; the signal's reason
 */
export async function convertModel(
  path: string,
  outPath: string,
  options: ConvertOptions = {},
): Promise<Converted> {
  const { type = "TQ2_0", architecture, hiddenAct, i2sLayout, signal, onProgress } = options;
  checkChoice("type", type, ggufWeightTypes);
  if (architecture !== undefined) checkChoice("architecture", architecture, ggufArchitectures);
  checkActivation(hiddenAct);
  try {
    const checkpoint = await openCheckpoint(path, { i2sLayout, signal });
    const written = await convertToGguf(checkpoint, outPath, {
      type,
      architecture,
      hiddenAct,
      signal,
      onProgress: (done, total) => onProgress?.({ stage: "writing", done, total }),
      onWarning: options.onWarning,
    });
    const { size } = await stat(outPath);
    return { path: outPath, format: "gguf", type, bytes: size, ...written };
  } catch (error) {
    // Whatever was interrupted, the caller sees the reason it gave.
    signal?.throwIfAborted();
    throw error;
  }
}

function checkChoice(option: string, value: string, known: readonly string[]): void {
  if (known.includes(value)) return;
  const wanted = known.join(" or ");
  throw new BitNetError("engine/invalid-option", `${option}: want ${wanted}, got ${value}`);
}
