/** Reference models with the values that transformers, or an exact reference, gives for them. */
import { join } from "node:path";
import { readFixtureTensors } from "../quant/read-tensors.ts";

export const fixturesDir = join(import.meta.dir, "..", "fixtures");

export const huggingFaceModels = [
  "bitnet-2b4t-bf16",
  "bitnet-2b4t-packed",
  "llama3-8b-1.58",
  "falcon3-1.58",
  "falcon-e",
  "llama-rmsnorm-online",
  "llama-rmsnorm-packed",
  "1bitllm-3b",
] as const;

export const ggufModels = [
  "bitnet-2b4t-tq2_0",
  "bitnet-2b4t-tq1_0",
  "bitnet-2b4t-i2_s",
  "1bitllm-3b-f16",
] as const;

/** One prompt with its expected outcome. */
export interface ReferencePrompt {
  text: string;
  input_ids: number[];
  greedy_32?: number[];
  greedy_16?: number[];
  greedy_min_margin: number;
  "under_3e-7_noise"?: { max_abs: number };
}

export interface Reference {
  prompts: ReferencePrompt[];
  hidden_prompt: number;
  hidden_act?: string;
  stop_case?: { prompt: number; eos_token_id: number; expected_new_tokens: number[] };
  tensors: Map<string, Float32Array>;
}

/** Expected values of a model, by its name below expected/. */
export async function readReference(name: string): Promise<Reference> {
  const base = join(fixturesDir, "expected", name);
  const json = await Bun.file(`${base}.json`).json();
  const tensors = new Map<string, Float32Array>();
  for (const [key, bytes] of await readFixtureTensors(`${base}.safetensors`)) {
    tensors.set(key, new Float32Array(bytes.buffer));
  }
  return { ...json, tensors };
}

/** How far results are from a reference. */
export interface Difference {
  largest: number;
  relativeL2: number;
  /** The first row in which an element differs by more than 2e-4. */
  firstRow: number;
}

export function compare(got: Float32Array, want: Float32Array, width: number): Difference {
  if (got.length !== want.length) throw new Error(`${got.length} values, want ${want.length}`);
  let largest = 0;
  let squares = 0;
  let norm = 0;
  let firstRow = Number.POSITIVE_INFINITY;
  for (let index = 0; index < want.length; index += 1) {
    const difference = Math.abs(got[index]! - want[index]!);
    // NaN compares as far away.
    if (!(difference <= largest)) largest = difference;
    if (!(difference <= 2e-4)) firstRow = Math.min(firstRow, Math.floor(index / width));
    squares += difference ** 2;
    norm += want[index]! ** 2;
  }
  return { largest, relativeL2: Math.sqrt(squares / norm), firstRow };
}
