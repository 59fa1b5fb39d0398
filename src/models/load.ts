/**
 * From an opened checkpoint to a decoder: checks every tensor against the configuration, packs the
 * matrices, keeps the embedding in place, and says how far it is.
 */
import { type Checkpoint, type TensorEntry, TensorReader } from "../checkpoint/index.ts";
import type { TernaryLayout, Weight } from "../graph/index.ts";
import type { ActivationName } from "../native/index.ts";
import { type Norm, type Projection, ropeFrequencies } from "../nn/index.ts";
import { Decoder, type DecoderLayer, type DecoderWeights } from "./decoder.ts";
import type { ModelPlan } from "./family.ts";
import { planGguf } from "./gguf.ts";
import { allocateInt8Head, type Int8Head } from "./head.ts";
import { planHuggingFace } from "./hugging-face.ts";
import { Packer } from "./packer.ts";
import { Packers } from "./packers.ts";
import { inLayer, type MatrixRole, matrixShape, type NormRole, storeSize } from "./shapes.ts";
import { expandedSize, plainFloats, readFloats, WeightStore } from "./store.ts";
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
 * Before this returns its promise, the int8 head waits in the core, which works on it whatever
 * JavaScript does meanwhile.
 * @throws BitNetError `models/missing-tensor`, `models/shape-mismatch`, `models/unexpected-dtype`,
 * `models/bad-scale`, `models/not-finite`, `native/io`, and what opening and reading files throws.
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
    await using reader = new TensorReader();
    const loading = new Loading({ checkpoint, plan, tensors, reader, store, packing, options });
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
  reader: TensorReader;
  store: WeightStore;
  packing: TernaryLayout;
  options: LoadDecoderOptions;
}

/**
 * All weights get their places in the store first. Then three things go on at once until all are
 * done or one has failed: the head is quantized, matrices are packed, vectors are read.
 */
class Loading {
  ternaryCount = 0;
  denseCount = 0;
  #done = 0;
  readonly #matrices: { entry: TensorEntry; pack: (packer: Packer) => Promise<void> }[] = [];
  readonly #vectors: (() => Promise<void>)[] = [];
  /** Ends what is under way when a part has failed. */
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #failure: { error: unknown } | undefined;
  /** Matrices that are not ternary take their turns: each is large as floats. */
  #expanding: Promise<unknown> = Promise.resolve();

  constructor(readonly parts: LoadingParts) {
    const { signal } = parts.options;
    this.#signal = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
  }

  async all(): Promise<DecoderWeights> {
    const { plan, store, tensors, options } = this.parts;
    const { config, names } = plan;
    using headPacker = new Packer(this.#signal);
    const headEntry = tensors.find(config.tiedHead ? names.embedding : names.head)!;
    const embedding = store.mapped(tensors.find(names.embedding)!);
    const head = store.mapped(headEntry);
    const layers = Array.from({ length: config.layerCount }, (_, layer) => this.#layer(layer));
    const finalNorm = this.#vector(tensors.find(names.finalNorm)!);
    const frequencies = store.vector(ropeFrequencies(config.rope, config.headWidth));
    const int8Head = options.int8Head ? allocateInt8Head(store, headEntry.shape) : undefined;
    const waiting = this.#matrices.map(({ entry }) => waitingMax(entry));
    using packers = new Packers(Math.min(...waiting), this.#signal);
    const work = this.#matrices.map(
      ({ pack }) =>
        () =>
          packers.use(pack),
    );
    if (int8Head) work.unshift(() => this.#int8Head(headPacker, headEntry, int8Head));
    await Promise.all([...work, () => this.#readVectors()].map((part) => this.#guarded(part)));
    if (this.#failure) throw this.#failure.error;
    options.signal?.throwIfAborted();
    // An exact head is read with every token.
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

  /** Runs a part; the first failure stops the others, and all are waited for. */
  async #guarded(part: () => Promise<void>): Promise<void> {
    try {
      await part();
    } catch (error) {
      this.#failure ??= { error };
      this.#stop.abort();
    }
  }

  #layer(layer: number): DecoderLayer {
    const { config, names } = this.parts.plan;
    const norm = (role: NormRole): Norm | undefined => {
      const name = names[role];
      if (!name) return undefined;
      const gamma = this.#vector(this.parts.tensors.find(inLayer(name, layer))!);
      return { gamma, eps: config.normEps };
    };
    const [q, k, v] = this.#projections(layer, ["q", "k", "v"]);
    const [o] = this.#projections(layer, ["o"]);
    const [gate, up] = this.#projections(layer, ["gate", "up"]);
    const [down] = this.#projections(layer, ["down"]);
    return {
      attentionNorm: norm("attentionNorm")!,
      q: q!,
      k: k!,
      v: v!,
      attentionSubNorm: norm("attentionSubNorm"),
      o: o!,
      feedForwardNorm: norm("feedForwardNorm")!,
      gate: gate!,
      up: up!,
      feedForwardSubNorm: norm("feedForwardSubNorm"),
      down: down!,
    };
  }

  /** Matrices that read the same input: packed one behind the other, then their scales. */
  #projections(layer: number, roles: readonly MatrixRole[]): Projection[] {
    const { plan, store, packing } = this.parts;
    const packed = roles.map((role) =>
      store.allocate(matrixShape(plan.config, role), "i8", packing),
    );
    const scales = packed.map(({ shape }) => store.allocate([shape[0]!], "f32"));
    return roles.map((role, index) => {
      const base = inLayer(plan.names[role], layer);
      const weight = { ...packed[index]!, rowScale: scales[index]! };
      const [rows, cols] = weight.shape as [number, number];
      const normEps = plan.scheme.projectionNormEps;
      const gamma = normEps
        ? this.#vector(this.parts.tensors.get(`${base}.rms_norm.weight`, [cols]))
        : undefined;
      const projection: Projection = {
        weight,
        bias: this.#bias(base, rows),
        norm: gamma && normEps ? { gamma, eps: normEps } : undefined,
      };
      const entry = this.parts.tensors.find(`${base}.weight`)!;
      const pack = (packer: Packer) => this.#pack(packer, base, projection);
      this.#matrices.push({ entry, pack });
      return projection;
    });
  }

  /** Packs a projection's matrix into its place, or finds it another where it is not ternary. */
  async #pack(packer: Packer, base: string, projection: Projection): Promise<void> {
    const { store, tensors } = this.parts;
    const { weight } = projection;
    const entry = tensors.find(`${base}.weight`)!;
    const source = { ...this.parts, packer };
    const scale = await readTernary(source, base, weight);
    this.#progress(entry.bytes);
    if (scale === null) {
      const expanding = this.#expanding.then(() => this.#dense(entry));
      this.#expanding = expanding.catch(() => {});
      projection.weight = await expanding;
      return;
    }
    this.ternaryCount += 1;
    store.fill(weight.rowScale!, new Float32Array(weight.shape[0]!).fill(scale));
  }

  async #dense(entry: TensorEntry): Promise<Weight> {
    this.#signal.throwIfAborted();
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

  async #int8Head(packer: Packer, entry: TensorEntry, head: Int8Head): Promise<void> {
    await packer.int8Head(entry, head);
    this.#progress(entry.bytes);
  }

  #bias(base: string, width: number): Weight | undefined {
    const { tensors } = this.parts;
    const name = `${base}.bias`;
    return tensors.find(name) ? this.#vector(tensors.get(name, [width])) : undefined;
  }

  /** The place of a vector, which is read later. */
  #vector(entry: TensorEntry): Weight {
    const { store } = this.parts;
    const vector = store.allocate(entry.shape, "f32");
    this.#vectors.push(async () => {
      const values = await readFloats(entry, this.parts.reader);
      requireFinite(entry, values.find((value) => !Number.isFinite(value)) ?? 0);
      store.fill(vector, values);
    });
    return vector;
  }

  async #readVectors(): Promise<void> {
    for (const read of this.#vectors) {
      this.#signal.throwIfAborted();
      await read();
    }
  }

  #progress(bytes: number): void {
    this.#done += bytes;
    const { options, checkpoint } = this.parts;
    options.onProgress?.(Math.min(this.#done, checkpoint.fileBytes), checkpoint.fileBytes);
  }
}

/**
 * How many matrices like this may wait in the core at once, as JavaScript may be busy meanwhile:
 * the less each keeps until its turn has come, the more. Floats are read twice and stay between;
 * blocks have a scale each.
 */
function waitingMax({ dtype }: TensorEntry): number {
  if (plainFloats[dtype]) return 2;
  return dtype === "TQ1_0" || dtype === "TQ2_0" ? 16 : 64;
}
