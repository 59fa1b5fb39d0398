/**
 * Where a model's weights live: one region that packed matrices, scales and norms are placed in one
 * behind the other, and the checkpoint's files, mapped, for tensors that are used in place.
 */
import {
  readTensorBytes,
  type StoredDType,
  type TensorEntry,
  type TensorReader,
} from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import { type Weight, weightSize } from "../graph/index.ts";
import { convert, MappedFile, type PlainDType } from "../memory/index.ts";
import { alignedSize, type DTypeName, type LayoutName, Region } from "../native/index.ts";
import { dequantizeBlocks } from "../quant/index.ts";

/** How the stored dtypes are read in place. */
const inPlace: Partial<Record<StoredDType, { dtype: DTypeName; layout: LayoutName }>> = {
  F32: { dtype: "f32", layout: "strided" },
  F16: { dtype: "f16", layout: "strided" },
  BF16: { dtype: "bf16", layout: "strided" },
  Q8_0: { dtype: "f32", layout: "q8_0" },
  Q4_0: { dtype: "f32", layout: "q4_0" },
  Q4_K: { dtype: "f32", layout: "q4_k" },
  Q6_K: { dtype: "f32", layout: "q6_k" },
};

/** Stored dtypes that are floats one by one, as values and as memory name them. */
export const plainFloats: Partial<Record<StoredDType, PlainDType & DTypeName>> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
};

export class WeightStore implements Disposable {
  readonly region: Region;
  #used = 0;
  /** Parts of files, one a tensor that is used in place. */
  readonly #files = new Map<string, MappedFile>();
  readonly #owned: Region[] = [];
  #releasedAt = Number.NEGATIVE_INFINITY;

  /** `size` must hold all that `allocate` will be asked for; see `reserveSize`. */
  constructor(size: number) {
    this.region = Region.create(size, { tag: "weights" });
  }

  /** Bytes of packed weights and norms. */
  get usedBytes(): number {
    return this.#used;
  }

  /** Room for a weight behind the last one. */
  allocate(shape: readonly number[], dtype: DTypeName, layout: LayoutName = "strided"): Weight {
    const weight: Weight = { region: this.region, offset: this.#used, dtype, layout, shape };
    const end = this.#used + weightSize(weight);
    if (end > this.region.size) throw new Error(`weights outgrow ${this.region.size} bytes`);
    this.#used = alignedSize(end);
    return weight;
  }

  /** A small f32 vector with the given content. */
  vector(values: Float32Array): Weight {
    const weight = this.allocate([values.length], "f32");
    this.fill(weight, values);
    return weight;
  }

  /** Writes the content of a vector that has its room. */
  fill({ region, offset }: Weight, values: Float32Array): void {
    region
      .bytes(offset, values.byteLength)
      .set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }

  /** The tensor's bytes where they are, in the mapped file. */
  mapped(entry: TensorEntry): Weight {
    const as = inPlace[entry.dtype];
    if (!as) {
      throw new BitNetError(
        "models/unexpected-dtype",
        `${entry.file}: ${entry.name}: want floats, got ${entry.dtype}`,
      );
    }
    const key = keyOf(entry);
    let file = this.#files.get(key);
    if (!file) {
      file = MappedFile.open(entry.file, { offset: entry.offset, size: entry.bytes });
      this.#files.set(key, file);
    }
    return { region: file.region, offset: file.regionOffset, shape: entry.shape, ...as };
  }

  /** Ternary blocks, each with a scale of its own, as f16 in memory of its own. */
  async expanded(entry: TensorEntry): Promise<Weight> {
    const region = Region.create(expandedSize(entry), { tag: "weights" });
    this.#owned.push(region);
    await convert(await readFloats(entry), { from: "f32", to: "f16", into: region });
    return { region, offset: 0, dtype: "f16", layout: "strided", shape: entry.shape };
  }

  /** Bytes of all that was expanded. */
  get expandedBytes(): number {
    return this.#owned.reduce((sum, { size }) => sum + size, 0);
  }

  /** Begins to read a tensor that is used in place, and whole. */
  prefetch(entry: TensorEntry): void {
    this.#files.get(keyOf(entry))?.prefetch();
  }

  /** Lets mapped pages leave memory until they are read again. @returns bytes that this won */
  releaseMapped(): number {
    this.#releasedAt = performance.now();
    return [...this.#files.values()].reduce((won, file) => won + file.release(), 0);
  }

  /** When that was, in milliseconds of `performance.now()`. */
  get releasedAt(): number {
    return this.#releasedAt;
  }

  /** Bytes of the mapped tensors. */
  get mappedBytes(): number {
    return [...this.#files.values()].reduce((sum, { size }) => sum + size, 0);
  }

  [Symbol.dispose](): void {
    this.region[Symbol.dispose]();
    for (const file of this.#files.values()) file[Symbol.dispose]();
    for (const region of this.#owned) region[Symbol.dispose]();
  }
}

/** Bytes that `allocate` takes for a weight, with what aligning the next one costs. */
export function reserveSize(weight: Pick<Weight, "dtype" | "layout" | "shape">): number {
  return alignedSize(weightSize(weight));
}

/** Bytes that `expanded` takes. */
export function expandedSize({ shape }: TensorEntry): number {
  return weightSize({ dtype: "f16", layout: "strided", shape });
}

/** A tensor as f32, read by a reader that is open. @throws BitNetError `models/unexpected-dtype` */
export async function readFloats(entry: TensorEntry, reader?: TensorReader): Promise<Float32Array> {
  const count = entry.shape.reduce((product, extent) => product * extent, 1);
  const bytes = await (reader ? reader.bytes(entry) : readTensorBytes(entry));
  const plain = plainFloats[entry.dtype];
  if (plain) return (await convert(bytes, { from: plain, to: "f32", count })).data;
  if (entry.dtype === "TQ1_0" || entry.dtype === "TQ2_0") {
    return dequantizeBlocks(entry.dtype, bytes, count);
  }
  throw new BitNetError(
    "models/unexpected-dtype",
    `${entry.file}: ${entry.name}: want floats, got ${entry.dtype}`,
  );
}

function keyOf({ file, offset }: TensorEntry): string {
  return `${offset} ${file}`;
}
