/**
 * Values of a recorded graph: what an op reads and makes. A value is a typed view of a storage;
 * slicing, reshaping and repeating make new views and no instruction.
 */
import type { BitNetError } from "../errors/index.ts";
import {
  type ActivationName,
  type DTypeName,
  type LayoutName,
  type OpName,
  type Region,
  rankMax,
} from "../native/index.ts";
import { type Dim, extentMax, formatDims, sameDims } from "./dims.ts";

export const elementSizes: Record<DTypeName, number> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  f64: 8,
  i32: 4,
  u32: 4,
  i16: 2,
  i8: 1,
  u8: 1,
  bool: 1,
};

/** Values and bytes of a block, for layouts that pack runs of a row. */
const rowBlocks: Partial<Record<LayoutName, [values: number, size: number]>> = {
  tq1_0: [256, 54],
  tq2_0: [256, 66],
  q8_0: [32, 34],
  q4_0: [32, 18],
  q4_k: [256, 144],
  q6_k: [256, 210],
};

/** The packings that `ternary_matmul` reads. */
export type TernaryLayout = "tile2" | "tile3";

/** Columns of a tile of each. */
const tileColumns: Readonly<Record<TernaryLayout, number>> = { tile2: 16, tile3: 20 };
/** Rows and bytes of a tile of any. */
export const tileRows = 32;
const tileSize = 128;

export function isTernaryLayout(layout: LayoutName): layout is TernaryLayout {
  return Object.hasOwn(tileColumns, layout);
}

/** Rows and columns that a plane in the layout `nibble4` is padded to. */
const nibbleRows = 4;
const nibbleCols = 128;

/** Bytes of a matrix in a packed layout (docs/formats). */
export function packedSize(layout: LayoutName, rows: number, cols: number): number {
  const block = rowBlocks[layout];
  if (block) return ((rows * cols) / block[0]) * block[1];
  if (isTernaryLayout(layout)) {
    return Math.ceil(rows / tileRows) * Math.ceil(cols / tileColumns[layout]) * tileSize;
  }
  if (layout === "nibble4") {
    return Math.ceil(rows / nibbleRows) * Math.ceil(cols / nibbleCols) * 256;
  }
  if (layout === "hf_ternary") return Math.ceil(rows / 4) * cols;
  if (layout === "i4") return Math.ceil((rows * cols) / 2);
  return (rows * cols) / 4 + 32;
}

/** What an element of a packed matrix stands for. */
export function packedDType(layout: LayoutName): DTypeName {
  if (layout === "nibble4") return "u8";
  return layout.startsWith("q") ? "f32" : "i8";
}

export type StorageKind = "arena" | "constant" | "state" | "input" | "output";

/**
 * Memory that values view. Arena storages are placed by the compiler; the others belong to a
 * region that the run binds.
 */
export interface Storage {
  /** What was recorded for the arena becomes an output when somebody keeps it. */
  kind: StorageKind;
  /** Of the region for state, inputs and outputs. */
  name: string;
  readonly size: number;
  /** The bound buffer of a constant, or of a tensor that has been computed. */
  region?: Region;
  /** Where the storage begins in its region, a multiple of 64. */
  base?: number;
  /** The instruction that makes it. */
  producer?: Node;
  /** Something that may be computed again reads it: it must not change in place. */
  borrowed?: boolean;
  /** Its content is there when a Program is made, and stays: what is made of it may be, too. */
  isKnown?: boolean;
  /** A tensor stands for it, so that somebody may ask for it. */
  held?: boolean;
  /** Why a write into it failed: what it holds since then is not known. */
  failure?: BitNetError;
}

/** A matrix or vector that a model keeps: bytes of a region, and how to read them. */
export interface Weight {
  readonly region: Region;
  readonly offset: number;
  readonly dtype: DTypeName;
  readonly layout: LayoutName;
  readonly shape: readonly number[];
  /** One f32 a row, for packed ternary matrices. */
  readonly rowScale?: Weight;
}

/** Bytes that a weight takes. */
export function weightSize(weight: Pick<Weight, "dtype" | "layout" | "shape">): number {
  const { dtype, layout, shape } = weight;
  if (layout !== "strided") return packedSize(layout, shape[0]!, shape[1]!);
  return shape.reduce((product, extent) => product * extent, elementSizes[dtype]);
}

/** One recorded instruction. */
export interface Node {
  op: OpName;
  inputs: Value[];
  outputs: Value[];
  attrs: Attrs;
  /** An i32 value of one element: the instruction runs where it is not zero. */
  predicate?: Value;
  /** Its effect outlives the run: from here on a step is finished, not aborted. */
  commit: boolean;
}

export type Attrs = Readonly<Record<string, number | boolean | ActivationName>>;

interface ValueParts {
  storage: Storage;
  dtype: DTypeName;
  dims: readonly Dim[];
  layout?: LayoutName;
  /** In elements; row-major by default. */
  strides?: readonly number[];
  /** In bytes. */
  offset?: number;
  rowScale?: Value;
}

/** How a view lies in the memory of the value it is taken of. */
export interface ViewParts {
  dims: readonly Dim[];
  strides: readonly number[];
  offset?: number;
}

export class Value {
  readonly storage: Storage;
  readonly dtype: DTypeName;
  readonly layout: LayoutName;
  readonly dims: readonly Dim[];
  readonly strides: readonly number[];
  readonly offset: number;
  readonly rowScale: Value | undefined;

  constructor(parts: ValueParts) {
    if (parts.dims.length > rankMax) {
      throw new Error(`want at most ${rankMax} dimensions, got ${formatDims(parts.dims)}`);
    }
    this.storage = parts.storage;
    this.dtype = parts.dtype;
    this.layout = parts.layout ?? "strided";
    this.dims = parts.dims;
    this.strides = parts.strides ?? rowMajor(parts.dims);
    this.offset = parts.offset ?? 0;
    this.rowScale = parts.rowScale;
  }

  /** Part `[start, start + count)` of an axis; shares memory. */
  slice(axis: number, start: number, count: Dim): Value {
    const stride = this.strides[axis]!;
    if (start + extentMax(count) > extentMax(this.dims[axis]!)) {
      throw new Error(
        `slice ${start}+${extentMax(count)} of axis ${axis}: ${formatDims(this.dims)}`,
      );
    }
    return this.#view({
      dims: this.dims.map((dim, index) => (index === axis ? count : dim)),
      offset: this.offset + start * stride * elementSizes[this.dtype],
    });
  }

  /** The last axis split in two: (rows, heads * width) as (rows, heads, width). */
  splitLast(count: number, width: number): Value {
    const last = this.dims.length - 1;
    if (this.dims[last] !== count * width) {
      throw new Error(`want ${count} x ${width} last, got ${formatDims(this.dims)}`);
    }
    const stride = this.strides[last]!;
    return this.#view({
      dims: [...this.dims.slice(0, last), count, width],
      strides: [...this.strides.slice(0, last), width * stride, stride],
    });
  }

  /** The last two axes as one; they must be adjacent in memory. */
  mergeLast(): Value {
    const last = this.dims.length - 1;
    const width = this.dims[last];
    const count = this.dims[last - 1];
    if (typeof width !== "number" || typeof count !== "number") {
      throw new Error(`want fixed last extents, got ${formatDims(this.dims)}`);
    }
    if (this.strides[last - 1] !== width * this.strides[last]!) {
      throw new Error(`the last two axes of ${formatDims(this.dims)} are not adjacent`);
    }
    return this.#view({
      dims: [...this.dims.slice(0, last - 1), count * width],
      strides: [...this.strides.slice(0, last - 1), this.strides[last]!],
    });
  }

  /** Repeated to a larger shape: extents of 1, and missing leading ones, are read again. */
  broadcast(dims: readonly Dim[]): Value {
    const missing = dims.length - this.dims.length;
    return this.#view({
      dims,
      strides: dims.map((_, axis) => {
        const own = axis - missing;
        if (own < 0 || (this.dims[own] === 1 && dims[axis] !== 1)) return 0;
        return this.strides[own]!;
      }),
    });
  }

  /** Axes in another order; shares memory. */
  permute(axes: readonly number[]): Value {
    return this.#view({
      dims: axes.map((axis) => this.dims[axis]!),
      strides: axes.map((axis) => this.strides[axis]!),
    });
  }

  toString(): string {
    const layout = this.layout === "strided" ? this.dtype : this.layout;
    return `${layout}${formatDims(this.dims)}`;
  }

  /** The same memory by other extents, strides (in elements) and offset (in bytes). */
  view(parts: ViewParts): Value {
    return this.#view(parts);
  }

  #view(parts: Partial<ValueParts> & { dims: readonly Dim[] }): Value {
    if (this.layout !== "strided") throw new Error(`a ${this.layout} matrix has no views`);
    return new Value({
      storage: this.storage,
      dtype: this.dtype,
      strides: this.strides,
      offset: this.offset,
      ...parts,
    });
  }
}

/** Bytes of a packed matrix at the largest sizes. */
export function packedSizeAtMax(layout: LayoutName, [rows, columns]: readonly Dim[]): number {
  return packedSize(layout, extentMax(rows!), extentMax(columns!));
}

/** Bytes at the largest sizes, for a value that starts a storage of its own. */
export function sizeAtMax(dtype: DTypeName, dims: readonly Dim[]): number {
  let size = elementSizes[dtype];
  for (const dim of dims) size *= extentMax(dim);
  return size;
}

/** Strides, in elements, of a value without gaps. */
export function rowMajor(dims: readonly Dim[]): number[] {
  const strides = new Array<number>(dims.length).fill(1);
  for (let axis = dims.length - 2; axis >= 0; axis -= 1) {
    strides[axis] = strides[axis + 1]! * extentMax(dims[axis + 1]!);
  }
  return strides;
}

/** Whether elements of these extents and strides lie one behind the other, row by row. */
export function isRowMajor(dims: readonly number[], strides: readonly number[]): boolean {
  let stride = 1;
  for (let axis = dims.length - 1; axis >= 0; axis -= 1) {
    if (dims[axis] === 1) continue;
    if (strides[axis] !== stride) return false;
    stride *= dims[axis]!;
  }
  return true;
}

/** Whether a dtype's elements are floats. */
export function isFloat(dtype: DTypeName): boolean {
  return dtype === "f32" || dtype === "f64" || dtype === "f16" || dtype === "bf16";
}

/** Whether two values are the same elements of the same memory. */
export function sameView(a: Value, b: Value): boolean {
  return (
    a.storage === b.storage &&
    a.offset === b.offset &&
    a.dtype === b.dtype &&
    sameDims(a.dims, b.dims) &&
    a.strides.every((stride, axis) => stride === b.strides[axis])
  );
}
