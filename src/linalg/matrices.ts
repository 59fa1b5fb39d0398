/** What the functions take and give: one matrix or a batch of them, row by row. */
import { BitNetError } from "../errors/index.ts";

export type FloatArray = Float32Array | Float64Array;

/** Matrices of shape (..., m, n), row-major without gaps; f32 or f64 by the array's kind. */
export interface Matrices<Data extends FloatArray = FloatArray> {
  readonly data: Data;
  readonly shape: readonly number[];
}

/**
 * Matrices over an array, which is not copied.
 * @throws BitNetError `linalg/shape-mismatch` when the shape is not that of a matrix, or of more
 * or fewer elements.
 */
export function matrices<Data extends FloatArray>(
  data: Data,
  shape: readonly number[],
): Matrices<Data> {
  const whole = shape.every((extent) => Number.isInteger(extent) && extent >= 0);
  if (shape.length < 2 || shape.length > 5 || !whole) {
    throw mismatch(`a shape (..., m, n) of two to five extents, got (${shape.join(", ")})`);
  }
  const count = shape.reduce((product, extent) => product * extent, 1);
  if (data.length !== count) {
    throw mismatch(`${count} elements for (${shape.join(", ")}), got ${data.length}`);
  }
  return { data, shape };
}

/** Rows and columns. */
export function extentsOf({ shape }: Matrices): [m: number, n: number] {
  return shape.slice(-2) as [number, number];
}

/** How many matrices there are. */
export function batchOf({ shape }: Matrices): number {
  return shape.slice(0, -2).reduce((product, extent) => product * extent, 1);
}

/** Unit roundoff times two, of the dtype. */
export function epsilonOf({ data }: Matrices): number {
  return data instanceof Float64Array ? 2 ** -52 : 2 ** -23;
}

/** An array of the same kind. */
export function arrayLike<Data extends FloatArray>({ data }: Matrices<Data>, count: number): Data {
  return (data instanceof Float64Array ? new Float64Array(count) : new Float32Array(count)) as Data;
}

/** Checks the shape, that there is one matrix only where that is asked, and every element. */
export function checked<Data extends FloatArray>(
  what: string,
  a: Matrices<Data>,
  { square = false, single = false } = {},
): Matrices<Data> {
  matrices(a.data, a.shape);
  const [m, n] = extentsOf(a);
  const shape = `(${a.shape.join(", ")})`;
  if (square && m !== n) throw mismatch(`${what}: square matrices, got ${shape}`);
  if (single && a.shape.length !== 2) throw mismatch(`${what}: one matrix, got ${shape}`);
  for (let at = 0; at < a.data.length; at += 1) {
    if (Number.isFinite(a.data[at])) continue;
    throw new BitNetError(
      "linalg/not-finite",
      `${what}: want finite elements, got ${a.data[at]} at ${at} of ${shape}`,
    );
  }
  return a;
}

/** A transposed copy of every matrix. */
export function transposed<Data extends FloatArray>(a: Matrices<Data>): Matrices<Data> {
  const [m, n] = extentsOf(a);
  const data = arrayLike(a, a.data.length);
  for (let start = 0; start < data.length; start += m * n) {
    for (let i = 0; i < m; i += 1) {
      for (let j = 0; j < n; j += 1) data[start + j * m + i] = a.data[start + i * n + j]!;
    }
  }
  return { data, shape: [...a.shape.slice(0, -2), n, m] };
}

export function mismatch(wanted: string): BitNetError {
  return new BitNetError("linalg/shape-mismatch", `want ${wanted}`);
}
