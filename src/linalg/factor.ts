/** Decompositions: Cholesky, LU, QR, singular values, symmetric eigenvalues. */
import { BitNetError } from "../errors/index.ts";
import { svdVectors } from "../graph/index.ts";
import { checked, extentsOf, type FloatArray, type Matrices } from "./matrices.ts";
import { run } from "./run.ts";

/**
 * L of A = L L', lower triangular, for symmetric positive definite matrices; only the lower
 * triangle of A is read.
 * @throws BitNetError `linalg/not-positive-definite` with the leading minor that is not,
 * `linalg/not-finite`, `linalg/shape-mismatch`
 */
export async function cholesky<Data extends FloatArray>(
  a: Matrices<Data>,
): Promise<Matrices<Data>> {
  checked("cholesky", a, { square: true });
  const [l, info] = await run({ op: "cholesky", inputs: [a], outputCount: 2 });
  info!.integers.forEach((minor, index) => {
    if (minor === 0 || index % 2 === 1) return;
    throw new BitNetError(
      "linalg/not-positive-definite",
      `cholesky: want positive definite matrices, but of matrix ${index / 2} the leading minor ` +
        `of order ${minor} is not positive`,
    );
  });
  return { data: l!.floats, shape: l!.shape };
}

export interface Lu<Data extends FloatArray> {
  /** U on and above the diagonal, L, whose diagonal is 1, below; (..., m, n). */
  lu: Matrices<Data>;
  /** Row i of L U is row `order[i]` of A; (..., m). */
  order: Int32Array;
  /** 1 or -1 by matrix: the determinant of the permutation. */
  signs: Int32Array;
  /** By matrix, the first column without a pivot, or -1. */
  singular: Int32Array;
}

/**
 * P A = L U with partial pivoting. A singular matrix has factors too: a zero stands on U's
 * diagonal, and `singular` tells where. @throws BitNetError `linalg/not-finite`
 */
export async function lu<Data extends FloatArray>(a: Matrices<Data>): Promise<Lu<Data>> {
  checked("lu", a);
  const [packed, order, info] = await run({ op: "lu", inputs: [a], outputCount: 3 });
  const words = info!.integers;
  return {
    lu: { data: packed!.floats, shape: packed!.shape },
    order: order!.integers,
    signs: words.filter((_, index) => index % 2 === 1).map((odd) => (odd ? -1 : 1)),
    singular: words.filter((_, index) => index % 2 === 0).map((column) => column - 1),
  };
}

export interface Qr<Data extends FloatArray> {
  q: Matrices<Data>;
  r: Matrices<Data>;
}

/**
 * A = Q R by Householder reflectors: Q (m, min(m, n)) with orthonormal columns, or square with
 * `mode: "full"`; R upper triangular. Rank-deficient matrices have zeros, or nearly, on R's
 * diagonal. @throws BitNetError `linalg/not-finite`
 */
export async function qr<Data extends FloatArray>(
  a: Matrices<Data>,
  { mode = "thin" }: { mode?: "thin" | "full" } = {},
): Promise<Qr<Data>> {
  checked("qr", a);
  const attrs = { full: mode === "full" };
  const [q, r] = await run({ op: "qr", inputs: [a], attrs, outputCount: 2 });
  return { q: { data: q!.floats, shape: q!.shape }, r: { data: r!.floats, shape: r!.shape } };
}

export interface Svd<Data extends FloatArray> {
  /** Columns are left singular vectors. */
  u: Matrices<Data>;
  /** Largest first; (..., min(m, n)). */
  s: Data;
  /** Rows are right singular vectors. */
  vt: Matrices<Data>;
}

/**
 * A = U diag(s) V': min(m, n) singular vectors of each kind, or square U and V with
 * `vectors: "full"`. @throws BitNetError `linalg/not-finite`
 */
export async function svd<Data extends FloatArray>(
  a: Matrices<Data>,
  { vectors = "thin" }: { vectors?: "thin" | "full" } = {},
): Promise<Svd<Data>> {
  checked("svd", a);
  const attrs = { vectors: svdVectors[vectors] };
  const [s, u, vt] = await run({ op: "svd", inputs: [a], attrs, outputCount: 3 });
  return {
    s: s!.floats,
    u: { data: u!.floats, shape: u!.shape },
    vt: { data: vt!.floats, shape: vt!.shape },
  };
}

/** Singular values alone, largest first; (..., min(m, n)). @throws BitNetError as `svd` */
export async function singularValues<Data extends FloatArray>(a: Matrices<Data>): Promise<Data> {
  checked("singularValues", a);
  const attrs = { vectors: svdVectors.none };
  const [s] = await run({ op: "svd", inputs: [a], attrs, outputCount: 1 });
  return s!.floats;
}

export interface Eigh<Data extends FloatArray> {
  /** Smallest first; (..., n). */
  values: Data;
  /** A column an eigenvector. */
  vectors: Matrices<Data>;
}

/**
 * Eigenvalues and orthonormal eigenvectors of symmetric matrices, of which the lower triangle is
 * read. @throws BitNetError `linalg/not-finite`, `linalg/shape-mismatch`
 */
export async function eigh<Data extends FloatArray>(a: Matrices<Data>): Promise<Eigh<Data>> {
  checked("eigh", a, { square: true });
  const attrs = { vectors: true };
  const [values, vectors] = await run({ op: "eigh", inputs: [a], attrs, outputCount: 2 });
  return { values: values!.floats, vectors: { data: vectors!.floats, shape: vectors!.shape } };
}

/** Eigenvalues of symmetric matrices alone, smallest first. @throws BitNetError as `eigh` */
export async function eigenvalues<Data extends FloatArray>(a: Matrices<Data>): Promise<Data> {
  checked("eigenvalues", a, { square: true });
  const attrs = { vectors: false };
  const [values] = await run({ op: "eigh", inputs: [a], attrs, outputCount: 1 });
  return values!.floats;
}

/** The diagonal of a matrix. */
export function diagonalOf({ data, shape }: Matrices): number[] {
  const [m, n] = extentsOf({ data, shape });
  return Array.from({ length: Math.min(m, n) }, (_, i) => data[i * n + i]!);
}
