/**
 * From an opened checkpoint to a decoder: checks every tensor against the configuration, packs the
 * matrices, keeps the embedding in place, and says how far it is.
 */
import type { Checkpoint, TensorEntry } from "../checkpoint/index.ts";
import type { TernaryLayout, Weight } from "../graph/index.ts";
import type { ActivationName } from "../native/index.ts";
import { type Projection, ropeFrequencies } from "../nn/index.ts";
import { Decoder, type DecoderLayer, type DecoderWeights } from "./decoder.ts";
import type { ModelPlan } from "./family.ts";
import { planGguf } from "./gguf.ts";
import { allocateInt8Head, type Int8Head } from "./head.ts";
import { planHuggingFace } from "./hugging-face.ts";
import { Packer } from "./packer.ts";
import { inLayer, type MatrixRole, matrixShape, type NormRole, storeSize } from "./shapes.ts";
import { expandedSize, readFloats, WeightStore } from "./store.ts";
import { findTensors, type TensorTable } from "./tensor-table.ts";
import { readTernary, requireFinite } from "./ternary.ts";

export interface LoadDecoderOptions {
  /** Overrides the activation, which GGUF files do not record. */
  hiddenAct?: ActivationName;
  /** Makes the int8 head too. */
  int8Head?: boolean;
  /** How ternary matrices are packed, `tile2` by default. Speed and memory alone depend on it. */
  packing?: TernaryLayout;
  signal?: AbortSignal;
  /** Bytes of the checkpoint dealt with so far. */
  onProgress?: (done: number, total: number) => void;
  onWarning?: (text: string) => void;
  /**
   * Called with the bytes that unequal blocks will take as floats, all so far, before more are
   * allocated: no file tells this beforehand. What it throws ends the loading.
   */
  onExpand?: (bytes: number) => void;
}

/** A decoder with the memory it owns. */
export interface LoadedDecoder extends Disposable {
  decoder: Decoder;
  store: WeightStore;
  /** Matrices that are packed ternary, and those that stayed dense. */
  ternaryCount: number;
  denseCount: number;
}

/** Configuration, names and weight scheme of a checkpoint. */
export function planModel(checkpoint: Checkpoint, hiddenAct?: ActivationName): ModelPlan {
  if (checkpoint.format === "gguf") return planGguf(checkpoint, hiddenAct);
  const plan = planHuggingFace(checkpoint);
  return hiddenAct ? { ...plan, config: { ...plan.config, activation: hiddenAct } } : plan;
}

/**
 * @throws BitNetError `models/missing-tensor`, `models/shape-mismatch`, `models/unexpected-dtype`,
 * `models/bad-scale`, `models/not-finite`, and what opening and reading files throws.
 */
export async function loadDecoder(
  checkpoint: Checkpoint,
  options: LoadDecoderOptions = {},
): Promise<LoadedDecoder> {
  const plan = planModel(checkpoint, options.hiddenAct);
  // All tensors are found and checked before any memory is taken.
  const tensors = findTensors(checkpoint, plan);
  const { int8Head = false, packing = "tile2" } = options;
  const store = new WeightStore(storeSize(plan, { int8Head, packing }));
  try {
    using packer = new Packer(options.signal);
    const parts = { checkpoint, plan, tensors, store, packer, packing, options };
    const loading = new Loading(parts);
    const weights = await loading.all();
    const { ternaryCount, denseCount } = loading;
    return {
      decoder: new Decoder(plan.config, weights),
      store,
      ternaryCount,
      denseCount,
      [Symbol.dispose]: () => store[Symbol.dispose](),
    };
  } catch (error) {
    store[Symbol.dispose]();
    throw error;
  }
}

interface LoadingParts {
  checkpoint: Checkpoint;
  plan: ModelPlan;
  tensors: TensorTable;
  store: WeightStore;
  packer: Packer;
  packing: TernaryLayout;
  options: LoadDecoderOptions;
}

class Loading {
  ternaryCount = 0;
  denseCount = 0;
  #done = 0;

  constructor(readonly parts: LoadingParts) {}

  async all(): Promise<DecoderWeights> {
    const { plan, store, tensors } = this.parts;
    const { config, names } = plan;
    const layers: DecoderLayer[] = [];
    for (let layer = 0; layer < config.layerCount; layer += 1)
      layers.push(await this.#layer(layer));
    const headEntry = tensors.find(config.tiedHead ? names.embedding : names.head)!;
    const embedding = store.mapped(tensors.find(names.embedding)!);
    const head = store.mapped(headEntry);
    const finalNorm = await this.#norm(names.finalNorm);
    const frequencies = store.vector(ropeFrequencies(config.rope, config.headWidth));
    const int8Head = this.parts.options.int8Head ? await this.#int8Head(headEntry) : undefined;
    // What was read once for packing goes; an exact head is read with every token.
    store.releaseMapped();
    if (!int8Head) store.prefetch(headEntry);
    return {
      embedding,
      ropeFrequencies: frequencies,
      layers,
      finalNorm: { gamma: finalNorm, eps: config.normEps },
      head,
      int8Head,
    };
  }

  async #layer(layer: number): Promise<DecoderLayer> {
    const { config, names } = this.parts.plan;
    const norm = async (role: NormRole) => {
      const name = names[role];
      if (!name) return undefined;
      return { gamma: await this.#norm(inLayer(name, layer)), eps: config.normEps };
    };
    const [q, k, v] = await this.#projections(layer, ["q", "k", "v"]);
    const [o] = await this.#projections(layer, ["o"]);
    const [gate, up] = await this.#projections(layer, ["gate", "up"]);
    const [down] = await this.#projections(layer, ["down"]);
    return {
      attentionNorm: (await norm("attentionNorm"))!,
      q: q!,
      k: k!,
      v: v!,
      attentionSubNorm: await norm("attentionSubNorm"),
      o: o!,
      feedForwardNorm: (await norm("feedForwardNorm"))!,
      gate: gate!,
      up: up!,
      feedForwardSubNorm: await norm("feedForwardSubNorm"),
      down: down!,
    };
  }

  /** Matrices that read the same input: packed one behind the other, then their scales. */
  async #projections(layer: number, roles: MatrixRole[]): Promise<Projection[]> {
    const { plan, store, packing } = this.parts;
    const places: { base: string; entry: TensorEntry; packed: Weight }[] = [];
    const scales: (number | null)[] = [];
    for (const role of roles) {
      const base = inLayer(plan.names[role], layer);
      const shape = matrixShape(plan.config, role);
      const entry = this.parts.tensors.find(`${base}.weight`)!;
      const packed = store.allocate(shape, "i8", packing);
      places.push({ base, entry, packed });
      scales.push(await readTernary(this.parts, base, packed));
      this.#progress(entry.bytes);
    }
    const weights: Weight[] = [];
    for (const [index, { entry, packed }] of places.entries()) {
      const scale = scales[index]!;
      if (scale === null) {
        weights.push(await this.#dense(entry));
        continue;
      }
      this.ternaryCount += 1;
      const rowScale = store.vector(new Float32Array(packed.shape[0]!).fill(scale));
      weights.push({ ...packed, rowScale });
    }
    const projections: Projection[] = [];
    for (const [index, { base, packed }] of places.entries()) {
      const bias = await this.#optionalVector(`${base}.bias`, packed.shape[0]!);
      const normEps = plan.scheme.projectionNormEps;
      const gamma = normEps
        ? await this.#vector(`${base}.rms_norm.weight`, packed.shape[1]!)
        : undefined;
      const norm = gamma && normEps ? { gamma, eps: normEps } : undefined;
      projections.push({ weight: weights[index]!, bias, norm });
    }
    return projections;
  }

  async #dense(entry: TensorEntry): Promise<Weight> {
    this.denseCount += 1;
    this.parts.options.onWarning?.(
      `${entry.name} (${entry.dtype}) is not ternary with one scale: it is used as it is, slower`,
    );
    const { store } = this.parts;
    // Blocks of different scales are ternary each: half floats hold them exactly.
    if (entry.dtype !== "TQ1_0" && entry.dtype !== "TQ2_0") return store.mapped(entry);
    this.parts.options.onExpand?.(store.expandedBytes + expandedSize(entry));
    return store.expanded(entry);
  }

  async #int8Head(entry: TensorEntry): Promise<Int8Head> {
    const head = allocateInt8Head(this.parts.store, entry.shape);
    await this.parts.packer.int8Head(entry, head);
    this.#progress(entry.bytes);
    return head;
  }

  async #norm(name: string): Promise<Weight> {
    return this.#finite(this.parts.tensors.find(name)!);
  }

  async #vector(name: string, width: number): Promise<Weight> {
    return this.#finite(this.parts.tensors.get(name, [width]));
  }

  async #finite(entry: TensorEntry): Promise<Weight> {
    const values = await readFloats(entry);
    requireFinite(entry, values.find((value) => !Number.isFinite(value)) ?? 0);
    return this.parts.store.vector(values);
  }

  async #optionalVector(name: string, width: number): Promise<Weight | undefined> {
    return this.parts.tensors.find(name) ? this.#vector(name, width) : undefined;
  }

  #progress(bytes: number): void {
    this.#done += bytes;
    const { options, checkpoint } = this.parts;
    options.onProgress?.(Math.min(this.#done, checkpoint.fileBytes), checkpoint.fileBytes);
  }
}
