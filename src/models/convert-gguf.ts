/**
 * Any checkpoint that loads to one GGUF file: ternary matrices in the wanted type, norms in F32,
 * tables in F16; what is already GGUF and not ternary is copied as it is. Matrices pass through
 * one at a time.
 */
import {
  type Checkpoint,
  type GgufField,
  readTensorBytes,
  type StoredDType,
  type TensorEntry,
  type TensorSource,
  writeGguf,
} from "../checkpoint/index.ts";
import type { ActivationName, LayoutName } from "../native/index.ts";
import { ggufTokenizerFields, tokenizerOf } from "../text/index.ts";
import type { TensorNames } from "./family.ts";
import { ggufNames } from "./gguf.ts";
import { type GgufArchitecture, ggufArchitectureOf, ggufConfigFields } from "./gguf-fields.ts";
import { planModel } from "./load.ts";
import { MatrixEncoder } from "./matrix-encoder.ts";
import { Packer } from "./packer.ts";
import { inLayer, type MatrixRole, matrixRoles, matrixShape, normRoles } from "./shapes.ts";
import { readFloats } from "./store.ts";
import { findTensors } from "./tensor-table.ts";
import { readTernary, type TernarySource } from "./ternary.ts";

/** What ternary matrices can be written as. */
export const ggufWeightTypes = ["TQ2_0", "TQ1_0", "I2_S", "F16"] as const;
export type GgufWeightType = (typeof ggufWeightTypes)[number];

export interface ConvertGgufOptions {
  type: GgufWeightType;
  /** By default the one that computes what the model does: see `ggufArchitectureOf`. */
  architecture?: GgufArchitecture;
  /** Overrides the activation, which GGUF files of others do not record. */
  hiddenAct?: ActivationName;
  signal?: AbortSignal;
  /** Bytes of the new file. */
  onProgress?: (done: number, total: number) => void;
  onWarning?: (text: string) => void;
}

/** Matrices by what became of them. */
export interface ConvertedMatrices {
  architecture: GgufArchitecture;
  ternaryCount: number;
  denseCount: number;
}

/** Source: enum llama_ftype of llama.h; 40 of microsoft/BitNet. */
const fileTypes: Record<GgufWeightType, number> = { F16: 1, TQ1_0: 36, TQ2_0: 37, I2_S: 40 };
const layouts: Record<Exclude<GgufWeightType, "F16">, LayoutName> = {
  TQ1_0: "tq1_0",
  TQ2_0: "tq2_0",
  I2_S: "i2_s_128",
};

/**
 * Writes the model as a GGUF file at `path`, whole or not at all.
 * @throws BitNetError as `loadDecoder`, models/no-gguf-form, and as `writeGguf`
 */
export async function convertToGguf(
  checkpoint: Checkpoint,
  path: string,
  options: ConvertGgufOptions,
): Promise<ConvertedMatrices> {
  const { signal, onProgress, hiddenAct } = options;
  const plan = planModel(checkpoint, hiddenAct);
  const architecture = options.architecture ?? ggufArchitectureOf(plan.config);
  const tensors = findTensors(checkpoint, plan);
  const config = ggufConfigFields(plan, architecture);
  using packer = new Packer(signal);
  using encoder = new MatrixEncoder(signal);
  const source: TernarySource = { checkpoint, plan, tensors, packer };
  const conversion = new Conversion(source, encoder, options);
  const metadata = new Map<string, GgufField>([
    ...config,
    ["general.file_type", { type: "u32", value: fileTypes[options.type] }],
    ["general.quantization_version", { type: "u32", value: 2 }],
    ...conversion.otherFields(architecture),
  ]);
  const sources = await conversion.sources();
  await writeGguf(path, { metadata, tensors: sources }, { signal, onProgress });
  const { ternaryCount, denseCount } = conversion;
  return { architecture, ternaryCount, denseCount };
}

class Conversion {
  ternaryCount = 0;
  denseCount = 0;

  constructor(
    readonly source: TernarySource,
    readonly encoder: MatrixEncoder,
    readonly options: ConvertGgufOptions,
  ) {}

  /** Tokenizer and names: made of a folder's files, or taken over from a GGUF file. */
  otherFields(architecture: GgufArchitecture): Map<string, GgufField> {
    const { checkpoint } = this.source;
    if (checkpoint.format !== "gguf") {
      const { fields, isPortable } = ggufTokenizerFields(checkpoint, tokenizerOf(checkpoint));
      if (!isPortable) {
        this.options.onWarning?.(
          "the tokenizer's rules have no name in GGUF: its tokenizer.json goes into the file " +
            "whole, which other programs may not read",
        );
      }
      return fields;
    }
    const fields = new Map<string, GgufField>();
    for (const [key, value] of checkpoint.metadata) {
      const isOwn = /^(general\.(architecture|file_type|alignment|quantization_version)$|split\.)/;
      const isModel = key.startsWith(`${checkpoint.metadata.get("general.architecture")}.`);
      const field = fieldOf(value);
      if (field && !isOwn.test(key) && !isModel && !key.startsWith(`${architecture}.`)) {
        fields.set(key, field);
      }
    }
    return fields;
  }

  /** All tensors in the order of the layers; which matrices are ternary is found out here. */
  async sources(): Promise<TensorSource[]> {
    const { names, config } = this.source.plan;
    const sources = [this.#table(names.embedding, ggufNames.embedding)];
    for (let layer = 0; layer < config.layerCount; layer += 1) {
      for (const role of normRoles) this.#addNorm(sources, role, layer);
      for (const role of matrixRoles) await this.#addMatrix(sources, role, layer);
    }
    sources.push(this.#floats(names.finalNorm, ggufNames.finalNorm));
    if (!config.tiedHead) sources.push(this.#table(names.head, ggufNames.head));
    return sources;
  }

  #addNorm(sources: TensorSource[], role: keyof TensorNames, layer: number): void {
    const from = this.source.plan.names[role];
    if (!from) return;
    sources.push(this.#floats(inLayer(from, layer), inLayer(ggufNames[role]!, layer)));
  }

  async #addMatrix(sources: TensorSource[], role: MatrixRole, layer: number): Promise<void> {
    const { plan, tensors } = this.source;
    const base = inLayer(plan.names[role], layer);
    const name = inLayer(ggufNames[role], layer);
    if (tensors.find(`${base}.bias`)) sources.push(this.#floats(`${base}.bias`, `${name}.bias`));
    const entry = tensors.find(`${base}.weight`)!;
    const shape = matrixShape(plan.config, role);
    if (await this.#isTernary(base, shape)) {
      this.ternaryCount += 1;
      sources.push(this.#ternary({ base, name: `${name}.weight`, shape }));
      return;
    }
    this.denseCount += 1;
    this.options.onWarning?.(
      `${entry.name} (${entry.dtype}) is not ternary with one scale: it is copied as it is`,
    );
    sources.push(copyOf(entry, `${name}.weight`));
  }

  /** Only files that may hold anything have to be looked at. */
  async #isTernary(base: string, [rows, cols]: [number, number]): Promise<boolean> {
    if (this.source.plan.scheme.kind !== "found") return true;
    return (await readTernary(this.source, base, this.encoder.codes(rows, cols))) !== null;
  }

  #ternary({ base, name, shape }: TernaryPlace): TensorSource {
    const { encoder, source } = this;
    const dtype = this.#typeFor(name, shape);
    const [rows, cols] = shape;
    return {
      name,
      dtype,
      shape,
      async *pieces() {
        const codes = encoder.codes(rows, cols);
        const scale = (await readTernary(source, base, codes))!;
        if (dtype === "F16") yield* encoder.halvesOfCodes(codes, scale);
        else yield await encoder.pack(codes, scale, layouts[dtype]);
      },
    };
  }

  /** The wanted type, or F16 where a matrix does not divide into its blocks. */
  #typeFor(name: string, [rows, cols]: [number, number]): GgufWeightType {
    const { type, onWarning } = this.options;
    const rest = type === "I2_S" ? (rows * cols) % 128 : cols % 256;
    if (type === "F16" || rest === 0) return type;
    onWarning?.(`${name} (${rows}, ${cols}) does not divide into blocks of ${type}: it is F16`);
    return "F16";
  }

  /** A table of floats as F16; block formats of GGUF stay as they are. */
  #table(from: string, name: string): TensorSource {
    const entry = this.source.tensors.find(from)!;
    if (!["F32", "F16", "BF16"].includes(entry.dtype)) return copyOf(entry, name);
    const { shape } = entry;
    return { name, dtype: "F16", shape, pieces: () => this.encoder.halves(entry) };
  }

  #floats(from: string, name: string): TensorSource {
    const entry = this.source.tensors.find(from)!;
    return {
      name,
      dtype: "F32",
      shape: entry.shape,
      async *pieces() {
        yield new Uint8Array((await readFloats(entry)).buffer as ArrayBuffer);
      },
    };
  }
}

interface TernaryPlace {
  base: string;
  name: string;
  shape: [number, number];
}

const copyPieceBytes = 1 << 22;

function copyOf(entry: TensorEntry, name: string): TensorSource {
  const dtype: StoredDType = entry.dtype;
  return {
    name,
    dtype,
    shape: entry.shape,
    pieces: () => copyPieces(entry),
  };
}

/** The bytes of a tensor as they are. */
export async function* copyPieces(entry: TensorEntry): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < entry.bytes; start += copyPieceBytes) {
    const end = Math.min(start + copyPieceBytes, entry.bytes);
    yield await readTensorBytes(entry, { start, end });
  }
}

/** A value that was read, in the type it most likely had; undefined for what is never written. */
function fieldOf(value: unknown): GgufField | undefined {
  if (typeof value === "string") return { type: "string", value };
  if (typeof value === "boolean") return { type: "bool", value };
  if (typeof value === "bigint") return { type: "u64", value };
  if (Array.isArray(value)) return { type: "strings", value };
  if (ArrayBuffer.isView(value)) return { type: "numbers", value: value as Uint8Array };
  if (typeof value !== "number") return undefined;
  if (!Number.isInteger(value)) return { type: "f32", value };
  if (value > 0xffff_ffff) return { type: "u64", value };
  return { type: value < 0 ? "i32" : "u32", value };
}
