/** What products and decompositions of dense matrices make: shapes and dtypes of their outputs. */
import type { DTypeName } from "../native/index.ts";
import { type Dim, sameDim, sameDims } from "./dims.ts";
import type { Value } from "./value.ts";

export interface DenseShape {
  dtype: DTypeName;
  dims: readonly Dim[];
}

/** (..., m, k) by (..., k, n): batch extents are equal, 1 or missing. */
export function matmulShape(a: Value, b: Value): DenseShape {
  const [k, width] = [b.dims.at(-2), a.dims.at(-1)];
  if (k === undefined || a.dims.length < 2 || !sameDim(k, width!)) {
    throw new Error(`want (..., m, k) by (..., k, n), got ${a} by ${b}`);
  }
  if ((a.dtype === "f64") !== (b.dtype === "f64")) {
    throw new Error(`want both factors in f64 or neither, got ${a} by ${b}`);
  }
  const rank = Math.max(a.dims.length, b.dims.length);
  const batch = Array.from({ length: rank - 2 }, (_, axis): Dim => {
    const own = [a, b].map(({ dims }) => dims[axis - rank + dims.length] ?? 1);
    const [first, second] = own as [Dim, Dim];
    if (first === 1 || sameDim(first, second)) return second;
    if (second === 1) return first;
    throw new Error(`batches differ: ${a} by ${b}`);
  });
  const dtype = a.dtype === "f64" ? "f64" : "f32";
  return { dtype, dims: [...batch, a.dims.at(-2)!, b.dims.at(-1)!] };
}

/** Matrices of a batch: its extents, rows and columns, and the dtype. */
interface Matrices {
  batch: readonly Dim[];
  m: number;
  n: number;
  dtype: DTypeName;
}

function matricesOf(op: string, a: Value): Matrices {
  const [m, n] = a.dims.slice(-2);
  if (typeof m !== "number" || typeof n !== "number") {
    throw new Error(`${op}: want a matrix, or a batch, of fixed extents, got ${a}`);
  }
  return { batch: a.dims.slice(0, -2), m, n, dtype: a.dtype };
}

function squaresOf(op: string, a: Value): Matrices {
  const square = matricesOf(op, a);
  if (square.m !== square.n) throw new Error(`${op}: want square matrices, got ${a}`);
  return square;
}

function made({ batch, dtype }: Matrices, ...extents: number[]): DenseShape {
  return { dtype, dims: [...batch, ...extents] };
}

export function choleskyShapes(a: Value): DenseShape[] {
  const own = squaresOf("cholesky", a);
  return [made(own, own.n, own.n)];
}

/** L and U in one, the order of the rows, its sign. */
export function luShapes(a: Value): DenseShape[] {
  const own = matricesOf("lu", a);
  return [made(own, own.m, own.n), { dtype: "i32", dims: [...own.batch, own.m] }, made(own)];
}

/** x, then L and U and the order of the rows. */
export function solveShapes(a: Value, b: Value): DenseShape[] {
  const own = squaresOf("solve", a);
  const [factors, order] = luShapes(a);
  return [made(own, own.n, rightHandSides("solve", a, b)), factors!, order!];
}

export function triangularSolveShapes(a: Value, b: Value): DenseShape[] {
  const own = squaresOf("triangular_solve", a);
  return [made(own, own.n, rightHandSides("triangular_solve", a, b))];
}

function rightHandSides(op: string, a: Value, b: Value): number {
  const own = matricesOf(op, b);
  const fits = own.m === a.dims.at(-1) && b.dtype === a.dtype;
  if (!fits || !sameDims(own.batch, a.dims.slice(0, -2))) {
    throw new Error(`${op}: the right-hand sides ${b} do not fit ${a}`);
  }
  return own.n;
}

/** q, r, room to work in; `full` makes q square. */
export function qrShapes(a: Value, full: boolean): DenseShape[] {
  const own = matricesOf("qr", a);
  const { m, n } = own;
  const count = Math.min(m, n);
  const width = full ? m : count;
  const work = m * n + count * m + count + reflectorWork(Math.max(n, width));
  return [made(own, m, width), made(own, width, n), made(own, work)];
}

/** Which singular vectors a decomposition makes: none, min(m, n) of each, or square matrices. */
export const svdVectors = { none: 0, thin: 1, full: 2 } as const;

/** s, u, vt, room to work in. */
export function svdShapes(a: Value, vectors: number): DenseShape[] {
  const own = matricesOf("svd", a);
  const { m, n } = own;
  const [long, short] = [Math.max(m, n), Math.min(m, n)];
  const [columns, rows] = [
    [0, 0],
    [short, short],
    [m, n],
  ][vectors]!;
  let work = 2 * long * short + short * short + 5 * short;
  if (columns! + rows! > 0) {
    const width = Math.max(short, m >= n ? columns! : rows!);
    work += width * long + short * short + 2 * rotationWork(short) + reflectorWork(long) + short;
  }
  return [made(own, short), made(own, m, columns!), made(own, rows!, n), made(own, work)];
}

/** Eigenvalues, eigenvectors unless they are not wanted, room to work in. */
export function eighShapes(a: Value, vectors: boolean): DenseShape[] {
  const own = squaresOf("eigh", a);
  const { n } = own;
  let work = 2 * n * n + 2 * n + 32 * n;
  if (vectors) work += n * n + rotationWork(n) + reflectorWork(n);
  return [made(own, n), made(own, n, vectors ? n : 0), made(own, work)];
}

/** As zig/linalg/reflectors.zig and rotations.zig ask for. */
function reflectorWork(columns: number): number {
  return 2 * 32 * columns + 2 * 32 * 32;
}

function rotationWork(rows: number): number {
  return 3 * 32 * Math.max(1, rows);
}
