/**
 * Decompositions as plain matrices, and what each has to satisfy: residual and orthogonality within
 * 50 eps times norm and size.
 */
import { expect } from "bun:test";
import * as linalg from "../../src/linalg/index.ts";
import {
  diagonal,
  distance,
  type FloatArray,
  type Kind,
  type Matrices,
  matrixOf,
  multiply,
  plainOf,
  size,
  skew,
  tensorOf,
  tolerance,
  turned,
} from "./measure.ts";

export function svd(a: Matrices, options?: { vectors?: "thin" | "full" }) {
  const { u, s, vt } = linalg.svd(tensorOf(a), options);
  return { u: plainOf(u), s: s.data() as FloatArray, vt: plainOf(vt) };
}

export function qr(a: Matrices, options?: { mode?: "thin" | "full" }) {
  const { q, r } = linalg.qr(tensorOf(a), options);
  return { q: plainOf(q), r: plainOf(r) };
}

export function lu(a: Matrices) {
  const { lu: packed, order, sign } = linalg.lu(tensorOf(a));
  return { lu: plainOf(packed), order: order.data(), sign: sign.toArray() };
}

export function eigh(a: Matrices) {
  const { values, vectors } = linalg.eigh(tensorOf(a));
  return { values: values.data() as FloatArray, vectors: plainOf(vectors) };
}

export function cholesky(a: Matrices): Matrices {
  return plainOf(linalg.cholesky(tensorOf(a)));
}

export function checkSvd(a: Matrices, kind: Kind): void {
  const [m, n] = a.shape as [number, number];
  const limit = tolerance(kind) * Math.max(m, n);
  for (const vectors of ["thin", "full"] as const) {
    const { u, s, vt } = svd(a, { vectors });
    const middle = diagonal(s, u.shape[1]!, vt.shape[0]!);
    expect(distance(multiply(multiply(u, middle), vt), a)).toBeLessThanOrEqual(limit * size(a));
    expect(skew(u)).toBeLessThanOrEqual(limit);
    expect(skew(turned(vt))).toBeLessThanOrEqual(limit);
    expect(s.every((x, i) => x >= 0 && (i === 0 || x <= s[i - 1]!))).toBe(true);
  }
  const { s } = svd(a);
  const alone = linalg.singularValues(tensorOf(a)).data();
  s.forEach((x, i) => {
    expect(Math.abs(x - alone[i]!)).toBeLessThanOrEqual(limit * size(a));
  });
}

export function checkQr(a: Matrices, kind: Kind): void {
  const [m, n] = a.shape as [number, number];
  const limit = tolerance(kind) * Math.max(m, n);
  for (const mode of ["thin", "full"] as const) {
    const { q, r } = qr(a, { mode });
    expect(q.shape[1]).toBe(mode === "full" ? m : Math.min(m, n));
    expect(distance(multiply(q, r), a)).toBeLessThanOrEqual(limit * size(a));
    expect(skew(q)).toBeLessThanOrEqual(limit);
    expect(r.data.every((x, at) => at % n >= Math.floor(at / n) || x === 0)).toBe(true);
  }
}

export function checkEigh(a: Matrices, kind: Kind): void {
  const n = a.shape[0]!;
  const limit = tolerance(kind) * n;
  const { values, vectors } = eigh(a);
  const back = multiply(multiply(vectors, diagonal(values, n, n)), turned(vectors));
  expect(distance(back, a)).toBeLessThanOrEqual(limit * size(a));
  expect(skew(vectors)).toBeLessThanOrEqual(limit);
  expect(values.every((x, i) => i === 0 || x >= values[i - 1]!)).toBe(true);
  const alone = linalg.eigenvalues(tensorOf(a)).data();
  values.forEach((x, i) => {
    expect(Math.abs(x - alone[i]!)).toBeLessThanOrEqual(limit * size(a));
  });
}

export function checkCholesky(a: Matrices, kind: Kind): void {
  const n = a.shape[0]!;
  const l = cholesky(a);
  const limit = tolerance(kind) * n * size(a);
  expect(distance(multiply(l, turned(l)), a)).toBeLessThanOrEqual(limit);
  expect(l.data.every((x, at) => at % n <= Math.floor(at / n) || x === 0)).toBe(true);
}

export function checkLu(a: Matrices, kind: Kind): void {
  const [m, n] = a.shape as [number, number];
  const { lu: packed, order } = lu(a);
  const count = Math.min(m, n);
  const pick = (rows: number, columns: number, f: (i: number, j: number) => number) =>
    matrixOf(
      Array.from({ length: rows * columns }, (_, at) => f(Math.floor(at / columns), at % columns)),
      [rows, columns],
    );
  const at = (i: number, j: number): number => packed.data[i * n + j]!;
  const l = pick(m, count, (i, j) => (i === j ? 1 : i > j ? at(i, j) : 0));
  const u = pick(count, n, (i, j) => (i <= j ? at(i, j) : 0));
  const moved = pick(m, n, (i, j) => a.data[order[i]! * n + j]!);
  const limit = tolerance(kind) * Math.max(m, n) * size(a);
  expect(distance(multiply(l, u), moved)).toBeLessThanOrEqual(limit);
  expect(l.data.every((x) => Math.abs(x) <= 1)).toBe(true);
}
