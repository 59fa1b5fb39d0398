/**
 * What a checkpoint is once opened: names, dtypes, shapes and byte ranges. No weight is loaded
 * and nothing here knows tensors; whoever wants the bytes of an entry asks `readTensorBytes`.
 */

/** How the values of a stored tensor are encoded. */
export type StoredDType =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "I64"
  | "I32"
  | "I16"
  | "I8"
  | "U8"
  | "BOOL"
  | "Q8_0"
  | "Q4_0"
  | "Q4_K"
  | "Q6_K"
  | "TQ1_0"
  | "TQ2_0"
  | "I2_S";

/**
 * Packings of ternary matrices in files of this library, the quickest to unpack of equal sizes
 * first; the place of a name is its number in the core. Format: docs/formats/packings.md.
 */
export const packingNames = [
  "two-bit",
  "base-3",
  "byte-aligned",
  "uncompressed",
  "run-length",
  "sparse",
  "hybrid",
] as const;
export type PackingName = (typeof packingNames)[number];

/** Where one tensor lies in a file. */
export interface TensorEntry {
  name: string;
  dtype: StoredDType;
  /** Row-major, outermost dimension first, for GGUF too. */
  shape: number[];
  file: string;
  /** Absolute, from the start of the file. */
  offset: number;
  bytes: number;
  /** Of a ternary matrix that is stored packed: the shape is that of its bytes. */
  packing?: PackingName;
}

/** A Hugging Face folder: configuration, tokenizer texts and safetensors weights. */
export interface HfCheckpoint {
  format: "safetensors";
  path: string;
  config: Record<string, unknown>;
  /** Empty when the folder has no generation_config.json. */
  generationConfig: Record<string, unknown>;
  tensors: Map<string, TensorEntry>;
  /** Parsed when it is asked for first, which throws `checkpoint/broken-json`. */
  readonly tokenizerJson?: unknown;
  tokenizerConfig?: Record<string, unknown>;
  chatTemplate?: string;
  /** Sizes of all weight files together. */
  fileBytes: number;
}

/** A number array of GGUF metadata, in the width the file states; booleans are bytes 0 and 1. */
export type GgufNumbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | BigUint64Array
  | BigInt64Array
  | Float64Array;

/** A metadata value. 64-bit integers are numbers while exact, and bigints beyond 2^53. */
export type GgufValue =
  | number
  | bigint
  | boolean
  | string
  | string[]
  | GgufNumbers
  | GgufNestedArray;

/** An array of arrays in GGUF metadata. */
export interface GgufNestedArray {
  arrays: GgufValue[];
}

/** A GGUF file: metadata and tensors. */
export interface GgufCheckpoint {
  format: "gguf";
  path: string;
  metadata: Map<string, GgufValue>;
  tensors: Map<string, TensorEntry>;
  /** How many values a block of I2_S holds: no file says so itself. */
  i2sLayout: 64 | 128;
  fileBytes: number;
}

/** An opened checkpoint of either format. */
export type Checkpoint = HfCheckpoint | GgufCheckpoint;

/** Options of `openCheckpoint`. */
export interface OpenOptions {
  /**
   * Values to a block of I2_S: 128 (the default) as the published files have it, 64 for files
   * quantised on an ARM host.
   */
  i2sLayout?: 64 | 128;
  signal?: AbortSignal;
}
