/** Decompositions: Cholesky, LU, QR, singular values, symmetric eigenvalues. */
import { BitNetError } from "../errors/index.ts";
import { svdVectors } from "../graph/index.ts";
import { applied, type Tensor } from "../tensor/index.ts";
import { matricesOf } from "./matrices.ts";

/**
 * L of A = L L', lower triangular, for symmetric positive definite matrices; only the lower
 * triangle of A is read.
 * @throws BitNetError `linalg/shape-mismatch`; reading: `linalg/not-positive-definite` with the
 * leading minor that is not, `linalg/not-finite`
 */
export function cholesky(a: Tensor): Tensor {
  return applied("cholesky", [matricesOf("cholesky", a, { square: true })])[0]!;
}

export interface Lu {
  /** U on and above the diagonal, L, whose diagonal is 1, below; (..., m, n). */
  lu: Tensor;
  /** Row i of L U is row `order[i]` of A; (..., m), i32. */
  order: Tensor;
  /** The determinant of the permutation, 1 or -1; (...). */
  sign: Tensor;
}

/**
 * P A = L U with partial pivoting. A singular matrix has factors too: a zero stands on U's
 * diagonal. @throws BitNetError `linalg/shape-mismatch`; reading: `linalg/not-finite`
 */
export function lu(a: Tensor): Lu {
  const [packed, order, sign] = applied("lu", [matricesOf("lu", a)], { outputCount: 3 });
  return { lu: packed!, order: order!, sign: sign! };
}

export interface Qr {
  q: Tensor;
  r: Tensor;
}

/**
 * A = Q R by Householder reflectors: Q (m, min(m, n)) with orthonormal columns, or square with
 * `mode: "full"`; R upper triangular. Rank-deficient matrices have zeros, or nearly, on R's
 * diagonal.
 * @throws BitNetError `linalg/shape-mismatch`, `linalg/invalid-option`; reading:
 * `linalg/not-finite`
 */
export function qr(a: Tensor, { mode = "thin" }: { mode?: "thin" | "full" } = {}): Qr {
  requireExtent("qr", mode);
  const attrs = { full: mode === "full" };
  const [q, r] = applied("qr", [matricesOf("qr", a)], { attrs, outputCount: 2 });
  return { q: q!, r: r! };
}

export interface Svd {
  /** Columns are left singular vectors. */
  u: Tensor;
  /** Largest first; (..., min(m, n)). */
  s: Tensor;
  /** Rows are right singular vectors. */
  vt: Tensor;
}

/**
 * A = U diag(s) V': min(m, n) singular vectors of each kind, or square U and V with
 * `vectors: "full"`.
 * @throws BitNetError `linalg/shape-mismatch`, `linalg/invalid-option`; reading:
 * `linalg/not-finite`
 */
export function svd(a: Tensor, { vectors = "thin" }: { vectors?: "thin" | "full" } = {}): Svd {
  requireExtent("svd", vectors);
  const attrs = { vectors: svdVectors[vectors] };
  const [s, u, vt] = applied("svd", [matricesOf("svd", a)], { attrs, outputCount: 3 });
  return { u: u!, s: s!, vt: vt! };
}

/** Singular values alone, largest first; (..., min(m, n)). @throws BitNetError as `svd` */
export function singularValues(a: Tensor): Tensor {
  const attrs = { vectors: svdVectors.none };
  return applied("svd", [matricesOf("singularValues", a)], { attrs })[0]!;
}

export interface Eigh {
  /** Smallest first; (..., n). */
  values: Tensor;
  /** A column an eigenvector. */
  vectors: Tensor;
}

/**
 * Eigenvalues and orthonormal eigenvectors of symmetric matrices, of which the lower triangle is
 * read. @throws BitNetError `linalg/shape-mismatch`; reading: `linalg/not-finite`
 */
export function eigh(a: Tensor): Eigh {
  const inputs = [matricesOf("eigh", a, { square: true })];
  const [values, vectors] = applied("eigh", inputs, { attrs: { vectors: true }, outputCount: 2 });
  return { values: values!, vectors: vectors! };
}

/** Eigenvalues of symmetric matrices alone, smallest first. @throws BitNetError as `eigh` */
export function eigenvalues(a: Tensor): Tensor {
  const inputs = [matricesOf("eigenvalues", a, { square: true })];
  return applied("eigh", inputs, { attrs: { vectors: false } })[0]!;
}

function requireExtent(what: string, extent: string): void {
  if (extent === "thin" || extent === "full") return;
  throw new BitNetError("linalg/invalid-option", `${what}: want "thin" or "full", got "${extent}"`);
}
