/**
 * Elements of less than a byte: i4, two a byte, and ternary weights in the packings that the engine
 * reads or files hold. A packed value is memory to read from: whoever computes with it gets its
 * elements unpacked, i4 as i8, ternary ones as codes times their scale in f32.
 *
 * Ternary weights of floats are absmean's: s = max(mean |w|, 1e-5), clip(round(w / s), -1, 1).
 * Source: Ma et al., "The era of 1-bit LLMs", arXiv 2402.17764.
 */
import { BitNetError } from "../errors/index.ts";
import { isFloat, isTernaryLayout, type OutputShape, Value } from "../graph/index.ts";
import type { DType, PackedDType, TernaryPacking } from "./dtypes.ts";
import { binary, cast, divide } from "./elementwise.ts";
import { compact } from "./movement.ts";
import { pending } from "./pending.ts";
import { reduced } from "./reductions.ts";
import { formatShape, shapeOf, sizeOf } from "./shapes.ts";

/** Block lengths that rows, or whole matrices, of some packings are made of. */
const wholeBlocks: Partial<Record<TernaryPacking, { of: "row" | "matrix"; count: number }>> = {
  tq1_0: { of: "row", count: 256 },
  tq2_0: { of: "row", count: 256 },
  i2_s_128: { of: "matrix", count: 128 },
  i2_s_64: { of: "matrix", count: 64 },
};

export interface TernaryOptions {
  /** How the weights lie: `tile2`, which products read, by default. */
  packing?: TernaryPacking;
  /** What the codes are multiplied by, instead of absmean's scale (1 for integers). */
  scale?: number;
}

/** Whether the elements are packed. */
export function isPacked(x: Value): boolean {
  return x.layout !== "strided";
}

/** What people call the elements of a packed value. */
export function packedKind({ layout }: Value): PackedDType {
  return layout === "i4" ? "i4" : "ternary";
}

/** The elements of a packed value: i8 for i4, f32 for ternary weights. */
export function unpacked(x: Value): Value {
  const shape = shapeOf(x);
  if (x.layout !== "i4") {
    const codes = cast(ternaryCodes(x), "f32");
    return binary("mul", codes, x.rowScale!.view({ dims: [shape[0]!, 1], strides: [1, 0] }));
  }
  const to: OutputShape = { dtype: "i8", dims: [1, sizeOf(shape)] };
  const row = pending.apply("convert", [asRow(x)], { attrs: plain, shape: to })[0]!;
  return new Value({ storage: row.storage, dtype: "i8", dims: shape });
}

/** The codes -1, 0, 1 of ternary weights, in i8. */
export function ternaryCodes(x: Value): Value {
  return pending.apply("unpack_ternary", [x])[0]!;
}

const plain = { scale: 1, zero_point: 0, has_losses: 0 };

/** Packed values of any shape are stored as one row. */
function asRow({ storage, layout, dtype, dims }: Value): Value {
  return new Value({ storage, layout, dtype, dims: [1, sizeOf(dims as number[])] });
}

/** Rounded half to even, stopping at -8 and 7; what is not a number becomes 0. */
export function packI4(x: Value): Value {
  const shape = shapeOf(x);
  const own = x.dtype as DType;
  const exact = own === "f64" ? "i32" : own === "bool" ? "i8" : own;
  const dims = [1, sizeOf(shape)];
  const row = compact(cast(x, exact)).view({ dims, strides: [dims[1]!, 1] });
  const to: OutputShape = { dtype: "i8", layout: "i4", dims };
  const { storage } = pending.apply("convert", [row], { attrs: plain, shape: to })[0]!;
  return new Value({ storage, layout: "i4", dtype: "i8", dims: shape });
}

/**
 * A matrix (outputs, inputs) as ternary weights; integers are taken as codes, by their sign.
 * @throws BitNetError `tensor/bad-shape` for what is no matrix, or does not fill the blocks of its
 * packing
 */
export function packTernary(x: Value, options: TernaryOptions = {}): Value {
  const { packing = "tile2" } = options;
  requireMatrix(x, packing);
  if (isPacked(x)) return packCodes(ternaryCodes(x), scaleOfRows(x), packing);
  if (!isFloat(x.dtype)) {
    const scale = pending.number(options.scale ?? 1, "f32");
    return packCodes(cast(x, "i8"), asVector(scale), packing);
  }
  const w = compact(x.dtype === "f64" ? cast(x, "f32") : x);
  const scale = options.scale === undefined ? absmean(w) : pending.number(options.scale, "f32");
  const one = asVector(scale);
  return packCodes(pending.apply("ternarize", [w, one])[0]!, one, packing);
}

/** A number as a vector of one element. */
function asVector(scale: Value): Value {
  return scale.view({ dims: [1], strides: [1] });
}

/** max(mean |w|, 1e-5), summed row by row in f64. */
function absmean(w: Value): Value {
  const [rows, columns] = shapeOf(w) as [number, number];
  const sums = pending.apply("abs_stats", [w])[0]!.slice(1, 0, 1);
  const mean = divide(reduced("reduce_sum", sums), rows * columns);
  return binary("maximum", cast(mean, "f32"), 1e-5);
}

/** One scale of all rows: they are the same. */
function scaleOfRows(x: Value): Value {
  return x.rowScale!.slice(0, 0, 1);
}

/** Codes (N, K) i8 and a scale f32 (1). */
function packCodes(codes: Value, scale: Value, layout: TernaryPacking): Value {
  const rows = compact(codes);
  const { dims } = rows;
  const to: OutputShape = { dtype: "i8", layout, dims };
  const isTile = isTernaryLayout(layout);
  const { storage } = isTile
    ? pending.apply(`pack_${layout}`, [rows], { shape: to })[0]!
    : pending.apply("pack_ternary", [rows, scale], { shape: to })[0]!;
  const rowScale = pending.apply("copy", [scale.view({ dims: [dims[0]!], strides: [0] })])[0]!;
  return new Value({ storage, layout, dtype: "i8", dims, rowScale });
}

function requireMatrix(x: Value, packing: TernaryPacking): void {
  const shape = shapeOf(x);
  if (shape.length !== 2 || sizeOf(shape) === 0) {
    throw new BitNetError(
      "tensor/bad-shape",
      `ternary weights of a tensor ${formatShape(shape)}: want a matrix (outputs, inputs) that is ` +
        "not empty",
    );
  }
  const block = wholeBlocks[packing];
  const count = block?.of === "row" ? shape[1]! : sizeOf(shape);
  if (!block || count % block.count === 0) return;
  throw new BitNetError(
    "tensor/bad-shape",
    `a matrix ${formatShape(shape)} in ${packing}: want ${block.of === "row" ? "rows" : "matrices"} ` +
      `of a multiple of ${block.count} elements; tile2, tile3 and hf_ternary take any`,
  );
}

/** The packed bytes in memory of their own. */
export function clonePacked(x: Value): Value {
  const { layout, dtype, dims, rowScale } = x;
  const bytes = new Value({ storage: x.storage, dtype: "u8", dims: [x.storage.size] });
  const { storage } = pending.apply("copy", [bytes])[0]!;
  const scale = rowScale && pending.apply("copy", [rowScale])[0]!;
  return new Value({ storage, layout, dtype, dims, ...(scale && { rowScale: scale }) });
}
