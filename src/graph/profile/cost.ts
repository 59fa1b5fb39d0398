/**
 * What an instruction moves and does at given sizes. Bytes are what it reads and writes at least,
 * each element once; operations are those of the op table, a multiplication and the addition after
 * it being two.
 */
import type { OpName } from "../../native/index.ts";
import { extentAt } from "../dims.ts";
import { bytesOf, workOf } from "../ops.ts";
import { elementSizes, type Node, Value } from "../value.ts";

/** Bytes read and written, and operations, of one run of an instruction. */
export interface Cost {
  bytes: number;
  operations: number;
}

/** Ops whose work counts products, each with an addition. */
const products: ReadonlySet<OpName> = new Set([
  "ternary_matmul",
  "int8_matmul",
  "head_screen",
  "head_refine",
  "dense_matmul",
  "matmul",
]);

/** Operands that are looked into rather than read: as many bytes of them as are written. */
const lookedInto: Partial<Record<OpName, readonly number[]>> = {
  embedding: [1],
  gather_rows: [0],
  take: [0],
};

/** Operands whose share that is read only the data knows: what attention sees of the cache. */
const unknown: Partial<Record<OpName, readonly number[]>> = { attention: [1, 2] };

/** The cost of one run, for values of the symbols. */
export function costOf(node: Node, syms: Readonly<Record<string, number>>): Cost {
  const at = (value: Value): Value => sized(value, syms);
  const [inputs, outputs] = [node.inputs.map(at), node.outputs.map(at)];
  const written = outputs.reduce((sum, value) => sum + sizeOf(value), 0);
  // Of pages only the rows that are new are written.
  let bytes = node.op === "kv_write" ? 0 : written;
  inputs.forEach((value, index) => {
    if (unknown[node.op]?.includes(index)) return;
    const size = sizeOf(value);
    bytes += lookedInto[node.op]?.includes(index) ? Math.min(size, written) : size;
    if (value.rowScale) bytes += sizeOf(at(value.rowScale));
    if (node.op === "kv_write" && index < 2) bytes += size;
  });
  const work = workOf({ ...node, inputs, outputs });
  return { bytes, operations: products.has(node.op) ? 2 * work : work };
}

function sized(value: Value, syms: Readonly<Record<string, number>>): Value {
  if (value.dims.every((dim) => typeof dim === "number")) return value;
  const { storage, dtype, layout, strides, offset, rowScale } = value;
  const dims = value.dims.map((dim) => extentAt(dim, syms));
  return new Value({ storage, dtype, layout, dims, strides, offset, rowScale });
}

/** Bytes of a value's elements; repeated ones count once. */
function sizeOf(value: Value): number {
  const extents = value.dims.map((dim, axis) =>
    value.layout === "strided" && value.strides[axis] === 0
      ? Math.min(1, Number(dim))
      : Number(dim),
  );
  return bytesOf(value, extents, elementSizes[value.dtype]);
}
