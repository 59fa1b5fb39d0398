/**
 * A Hugging Face folder as a new one whose ternary matrices lie in storage packings of this
 * library: each in the packing asked for, or in the best for itself. Configuration and tokenizer
 * are copied; what is no matrix keeps its bytes. The folder appears whole or not at all.
 */
import { randomUUID } from "node:crypto";
import { copyFile, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  type HfCheckpoint,
  type PackingName,
  packingMetadata,
  type SafetensorsSource,
  type TensorEntry,
  writeSafetensors,
} from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import { choosePacking, packMatrix } from "../quant/index.ts";
import { copyPieces } from "./convert-gguf.ts";
import { planModel } from "./load.ts";
import { MatrixEncoder } from "./matrix-encoder.ts";
import { Packer } from "./packer.ts";
import { inLayer, matrixRoles, matrixShape } from "./shapes.ts";
import { findTensors } from "./tensor-table.ts";
import { readTernary, type TernarySource } from "./ternary.ts";

export interface ConvertFolderOptions {
  /** `auto`: for each matrix the smallest. */
  packing: PackingName | "auto";
  signal?: AbortSignal;
  /** Tensors of the new file. */
  onProgress?: (done: number, total: number) => void;
}

/** How many matrices each packing holds. */
export type PackingCounts = Partial<Record<PackingName, number>>;

/** What a packing takes in the metadata besides the tensor's name. */
const packingEntryBytes = 32;

/**
 * Writes the folder `path`, which must not be there yet.
 * @throws BitNetError as `loadDecoder` and checkpoint/unwritable; the signal's reason
 */
export async function convertToFolder(
  checkpoint: HfCheckpoint,
  path: string,
  { packing, signal, onProgress }: ConvertFolderOptions,
): Promise<PackingCounts> {
  const plan = planModel(checkpoint);
  const tensors = findTensors(checkpoint, plan);
  using packer = new Packer(signal);
  using encoder = new MatrixEncoder(signal);
  const source: TernarySource = { checkpoint, plan, tensors, packer };
  const packings = new Map<string, PackingName>();
  const sources = sourcesOf(source, { encoder, packing, packings });
  const temporary = `${path}.${process.pid}-${randomUUID().slice(0, 8)}.partial`;
  try {
    await makeFolder(path, temporary);
    await copyTexts(checkpoint.path, temporary);
    const content = {
      tensors: sources,
      metadata: () => Object.fromEntries([["format", "pt"], packingMetadata(packings)]),
      metadataBytesMax: sources.reduce(
        (sum, { name }) => sum + 2 * name.length + packingEntryBytes,
        0,
      ),
    };
    await writeSafetensors(join(temporary, "model.safetensors"), content, { signal, onProgress });
    await rename(temporary, path).catch((cause: unknown) => unwritable(path, cause));
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  const counts: PackingCounts = {};
  for (const one of packings.values()) counts[one] = (counts[one] ?? 0) + 1;
  return counts;
}

/** Refuses a path that is taken before any work is done. */
async function makeFolder(path: string, temporary: string): Promise<void> {
  if ((await stat(path).catch(() => undefined)) !== undefined) {
    unwritable(path, new Error("something there already"));
  }
  await mkdir(temporary).catch((cause: unknown) => unwritable(path, cause));
}

function unwritable(path: string, cause: unknown): never {
  throw new BitNetError(
    "checkpoint/unwritable",
    `${path}: expected a place for a new folder, got ${cause instanceof Error ? cause.message : cause}`,
    { cause },
  );
}

/** The name of every ternary matrix without its ending, with its shape. */
export function* ternaryMatrices({
  plan,
}: Pick<TernarySource, "plan">): Generator<{ base: string; shape: [number, number] }> {
  for (let layer = 0; layer < plan.config.layerCount; layer += 1) {
    for (const role of matrixRoles) {
      yield { base: inLayer(plan.names[role], layer), shape: matrixShape(plan.config, role) };
    }
  }
}

interface Choice {
  encoder: MatrixEncoder;
  packing: PackingName | "auto";
  /** Filled in as matrices are packed. */
  packings: Map<string, PackingName>;
}

/** Floats first, so that they stay aligned behind packings of any size. */
function sourcesOf(source: TernarySource, choice: Choice): SafetensorsSource[] {
  const matrices: SafetensorsSource[] = [];
  const scales: SafetensorsSource[] = [];
  const replaced = new Set<string>();
  for (const { base, shape } of ternaryMatrices(source)) {
    const scale = new Float32Array(1);
    matrices.push(packedSource(source, { ...choice, base, shape, scale }));
    scales.push(
      copied(`${base}.weight_scale`, { dtype: "F32", shape: [1] }, () => [bytesOf(scale)]),
    );
    replaced.add(`${base}.weight`).add(`${base}.weight_scale`);
  }
  const others = [...source.checkpoint.tensors.values()]
    .filter(({ name }) => !replaced.has(name))
    .map((entry) => copied(entry.name, entry, () => copyPieces(entry)));
  // A scale is known once its matrix is read.
  return [...others, ...matrices, ...scales];
}

interface PackedParts extends Choice {
  base: string;
  shape: [number, number];
  /** Where the scale goes. */
  scale: Float32Array;
}

function packedSource(source: TernarySource, parts: PackedParts): SafetensorsSource {
  const { encoder, base, shape, scale, packings } = parts;
  const name = `${base}.weight`;
  let size = 0;
  return {
    name,
    dtype: "U8",
    shape: () => [size],
    async *pieces() {
      const codes = encoder.codes(...shape);
      scale[0] = (await readTernary(source, base, codes))!;
      const count = shape[0] * shape[1];
      const values = new Int8Array(codes.region.bytes(0, count).buffer, 0, count);
      const packing = parts.packing === "auto" ? choosePacking(values, shape).best : parts.packing;
      const bytes = packMatrix(values, shape, packing);
      size = bytes.length;
      packings.set(name, packing);
      yield bytes;
    },
  };
}

function copied(
  name: string,
  { dtype, shape }: Pick<TensorEntry, "dtype" | "shape">,
  pieces: SafetensorsSource["pieces"],
): SafetensorsSource {
  return { name, dtype, shape: () => shape, pieces };
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** All of the folder but weights and what is below it. */
async function copyTexts(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const isWeights = /\.(safetensors|bin|pt|pth|gguf|onnx|index\.json)$/.test(entry.name);
    if (entry.isDirectory() || isWeights) continue;
    await copyFile(join(from, entry.name), join(to, entry.name));
  }
}
