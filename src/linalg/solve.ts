/** Systems of equations and what comes with them: solutions, inverses, least squares. */
import { BitNetError } from "../errors/index.ts";
import { diagonalOf, lu, svd } from "./factor.ts";
import {
  arrayLike,
  batchOf,
  checked,
  epsilonOf,
  extentsOf,
  type FloatArray,
  type Matrices,
  mismatch,
  transposed,
} from "./matrices.ts";
import { run } from "./run.ts";

/**
 * The product (..., m, k) by (..., k, n); batch extents are equal, 1 or missing. What is not finite
 * goes through as in any sum. @throws BitNetError `linalg/shape-mismatch`
 */
export async function matmul<Data extends FloatArray>(
  a: Matrices<Data>,
  b: Matrices<Data>,
): Promise<Matrices<Data>> {
  const [k, rows] = [a.shape.at(-1), b.shape.at(-2)];
  if (k !== rows)
    throw mismatch(`matmul: (..., m, k) by (..., k, n), got ${told(a)} by ${told(b)}`);
  const [c] = await run({ op: "matmul", inputs: [a, b], outputCount: 1 });
  return { data: c!.floats, shape: c!.shape };
}

/**
 * X of A X = B for square A, by LU with partial pivoting; B (..., n, columns).
 * @throws BitNetError `linalg/singular` when a pivot is zero, `linalg/not-finite`,
 * `linalg/shape-mismatch`
 */
export async function solve<Data extends FloatArray>(
  a: Matrices<Data>,
  b: Matrices<Data>,
): Promise<Matrices<Data>> {
  system("solve", a, b);
  const [x, , , info] = await run({ op: "solve", inputs: [a, b], outputCount: 4 });
  info!.integers.forEach((column, index) => {
    if (index % 2 === 0 && column > 0) throw singular("solve", index / 2, column - 1);
  });
  return { data: x!.floats, shape: x!.shape };
}

/**
 * X of A X = B for lower or upper triangular A; the other triangle is not read, nor the diagonal
 * with `unit`. @throws BitNetError `linalg/singular` when the diagonal has a zero, as `solve`
 */
export async function triangularSolve<Data extends FloatArray>(
  a: Matrices<Data>,
  b: Matrices<Data>,
  { lower = true, unit = false }: { lower?: boolean; unit?: boolean } = {},
): Promise<Matrices<Data>> {
  system("triangularSolve", a, b);
  const [n] = extentsOf(a);
  for (let at = 0; !unit && at < batchOf(a); at += 1) {
    for (let i = 0; i < n; i += 1) {
      if (a.data[at * n * n + i * n + i] === 0) throw singular("triangularSolve", at, i);
    }
  }
  const attrs = { lower, unit };
  const [x] = await run({ op: "triangular_solve", inputs: [a, b], attrs, outputCount: 1 });
  return { data: x!.floats, shape: x!.shape };
}

/** A^-1. @throws BitNetError as `solve` */
export async function inverse<Data extends FloatArray>(a: Matrices<Data>): Promise<Matrices<Data>> {
  checked("inverse", a, { square: true });
  const [n] = extentsOf(a);
  const data = arrayLike(a, a.data.length);
  for (let at = 0; at < batchOf(a); at += 1) {
    for (let i = 0; i < n; i += 1) data[at * n * n + i * n + i] = 1;
  }
  return solve(a, { data, shape: a.shape });
}

/**
 * The determinant, 1 of an empty matrix; it may overflow where `slogdet` does not.
 * @throws BitNetError `linalg/not-finite`, `linalg/shape-mismatch`
 */
export async function det(a: Matrices): Promise<number> {
  const { sign, diagonal } = await pivots("det", a);
  return diagonal.reduce((product, x) => product * x, sign) + 0;
}

/**
 * The determinant as its sign (0 of a singular matrix) and the logarithm of its absolute value.
 * @throws BitNetError as `det`
 */
export async function slogdet(a: Matrices): Promise<{ sign: number; logAbsolute: number }> {
  const { sign, diagonal } = await pivots("slogdet", a);
  return {
    sign: diagonal.reduce((product, x) => product * Math.sign(x), sign) + 0,
    logAbsolute: diagonal.reduce((sum, x) => sum + Math.log(Math.abs(x)), 0),
  };
}

async function pivots(what: string, a: Matrices): Promise<{ sign: number; diagonal: number[] }> {
  checked(what, a, { square: true, single: true });
  const { lu: packed, signs } = await lu(a);
  return { sign: signs[0]!, diagonal: diagonalOf(packed) };
}

export interface RankOptions {
  /** Singular values up to this share of the largest count as zero; max(m, n) eps by default. */
  tolerance?: number;
}

/** Singular values that count as zero are at most this. */
export function cutoff(a: Matrices, largest: number, { tolerance }: RankOptions = {}): number {
  if (tolerance !== undefined && !(tolerance >= 0)) {
    throw new BitNetError("linalg/invalid-option", `tolerance: want 0 or more, got ${tolerance}`);
  }
  return largest * (tolerance ?? Math.max(...extentsOf(a)) * epsilonOf(a));
}

/**
 * The pseudo-inverse V diag(1/s) U' (n, m); singular values that count as zero are left out.
 * @throws BitNetError `linalg/not-finite`, `linalg/shape-mismatch`, `linalg/invalid-option`
 */
export async function pinv<Data extends FloatArray>(
  a: Matrices<Data>,
  options: RankOptions = {},
): Promise<Matrices<Data>> {
  checked("pinv", a, { single: true });
  const { u, s, vt } = await svd(a);
  const least = cutoff(a, s[0] ?? 0, options);
  const ut = transposed(u);
  scaleRows(ut, (i) => (s[i]! > least ? 1 / s[i]! : 0));
  return matmul(transposed(vt), ut);
}

export interface LeastSquares<Data extends FloatArray> {
  /** (n, columns) */
  x: Matrices<Data>;
  rank: number;
  singularValues: Data;
}

/**
 * The X of least norm among those that make |A X - B| least, by singular values.
 * @throws BitNetError as `pinv`
 */
export async function lstsq<Data extends FloatArray>(
  a: Matrices<Data>,
  b: Matrices<Data>,
  options: RankOptions = {},
): Promise<LeastSquares<Data>> {
  checked("lstsq", a, { single: true });
  checked("lstsq", b, { single: true });
  if (a.shape[0] !== b.shape[0]) throw mismatch(`lstsq: equal heights, got ${told(a)}, ${told(b)}`);
  const { u, s, vt } = await svd(a);
  const least = cutoff(a, s[0] ?? 0, options);
  const along = await matmul(transposed(u), b);
  scaleRows(along, (i) => (s[i]! > least ? 1 / s[i]! : 0));
  const x = await matmul(transposed(vt), along);
  return { x, rank: s.filter((value) => value > least).length, singularValues: s };
}

function scaleRows(a: Matrices, factor: (row: number) => number): void {
  const [m, n] = extentsOf(a);
  for (let i = 0; i < m; i += 1) {
    const by = factor(i);
    for (let j = 0; j < n; j += 1) a.data[i * n + j] = by === 0 ? 0 : a.data[i * n + j]! * by;
  }
}

function system(what: string, a: Matrices, b: Matrices): void {
  checked(what, a, { square: true });
  checked(what, b);
  const batch = a.shape.slice(0, -1).join();
  if (b.shape.slice(0, -1).join() !== batch) {
    throw mismatch(`${what}: right-hand sides (..., n, columns) for ${told(a)}, got ${told(b)}`);
  }
}

function told({ shape }: Matrices): string {
  return `(${shape.join(", ")})`;
}

function singular(what: string, index: number, column: number): BitNetError {
  return new BitNetError(
    "linalg/singular",
    `${what}: want invertible matrices, but matrix ${index} has no pivot in column ${column}`,
  );
}
