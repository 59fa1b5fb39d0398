/**
 * Decompositions against their definition: residual and orthogonality within 50 eps times norm and
 * size, for extents around every block, both dtypes, ill-conditioned and degenerate matrices.
 */
import { describe, expect, test } from "bun:test";
import {
  cholesky,
  eigenvalues,
  eigh,
  lu,
  type Matrices,
  qr,
  singularValues,
  svd,
} from "../../src/linalg/index.ts";
import { allowAlive } from "../leaks.ts";
import {
  definite,
  diagonal,
  distance,
  type Kind,
  matrixOf,
  multiply,
  oneOf,
  random,
  size,
  skew,
  tolerance,
  turned,
} from "./measure.ts";

// Programs of earlier calls are kept.
allowAlive("arena");

const kinds: Kind[] = ["f32", "f64"];
const squares = [1, 2, 3, 16, 31, 32, 33, 47, 48, 49, 65, 100];
const shapes: [number, number][] = [
  ...squares.map((n): [number, number] => [n, n]),
  [7, 3],
  [3, 7],
  [70, 33],
  [33, 70],
  [1, 5],
  [5, 1],
];

/** Matrices that are hard in one way each, by name. */
function hard(kind: Kind): Record<string, Matrices> {
  const n = 40;
  const element = (f: (i: number, j: number) => number): Matrices =>
    matrixOf(
      Array.from({ length: n * n }, (_, at) => f(Math.floor(at / n), at % n)),
      [n, n],
      kind,
    );
  const big = kind === "f32" ? 1e30 : 1e250;
  return {
    zeros: element(() => 0),
    identity: element((i, j) => (i === j ? 1 : 0)),
    "rank one": element((i, j) => (i + 1) * (j - 3)),
    "rank two, symmetric": element((i, j) => i * j + 1),
    hilbert: element((i, j) => 1 / (i + j + 1)),
    graded: element((i, j) => 10 ** -((i + j) / 8)),
    "one bidiagonal": element((i, j) => (i === j ? 1e-6 : j === i + 1 ? 1 : 0)),
    "zero column": element((i, j) => (j === 5 ? 0 : ((i * 7 + j * 3) % 11) - 5)),
    huge: element((i, j) => (((i * 7 + j * 3) % 11) - 5) * big),
    tiny: element((i, j) => (((i * 5 + j * 3) % 13) - 6) / big),
  };
}

async function checkSvd(a: Matrices, kind: Kind): Promise<void> {
  const [m, n] = a.shape as [number, number];
  const limit = tolerance(kind) * Math.max(m, n);
  for (const vectors of ["thin", "full"] as const) {
    const { u, s, vt } = await svd(a, { vectors });
    const middle = diagonal(s, u.shape[1]!, vt.shape[0]!);
    expect(distance(multiply(multiply(u, middle), vt), a)).toBeLessThanOrEqual(limit * size(a));
    expect(skew(u)).toBeLessThanOrEqual(limit);
    expect(skew(turned(vt))).toBeLessThanOrEqual(limit);
    expect(s.every((x, i) => x >= 0 && (i === 0 || x <= s[i - 1]!))).toBe(true);
  }
  const { s } = await svd(a);
  const alone = await singularValues(a);
  s.forEach((x, i) => {
    expect(Math.abs(x - alone[i]!)).toBeLessThanOrEqual(limit * size(a));
  });
}

async function checkQr(a: Matrices, kind: Kind): Promise<void> {
  const [m, n] = a.shape as [number, number];
  const limit = tolerance(kind) * Math.max(m, n);
  for (const mode of ["thin", "full"] as const) {
    const { q, r } = await qr(a, { mode });
    expect(q.shape[1]).toBe(mode === "full" ? m : Math.min(m, n));
    expect(distance(multiply(q, r), a)).toBeLessThanOrEqual(limit * size(a));
    expect(skew(q)).toBeLessThanOrEqual(limit);
    expect(r.data.every((x, at) => at % n >= Math.floor(at / n) || x === 0)).toBe(true);
  }
}

async function checkEigh(a: Matrices, kind: Kind): Promise<void> {
  const n = a.shape[0]!;
  const limit = tolerance(kind) * n;
  const { values, vectors } = await eigh(a);
  const back = multiply(multiply(vectors, diagonal(values, n, n)), turned(vectors));
  expect(distance(back, a)).toBeLessThanOrEqual(limit * size(a));
  expect(skew(vectors)).toBeLessThanOrEqual(limit);
  expect(values.every((x, i) => i === 0 || x >= values[i - 1]!)).toBe(true);
  const alone = await eigenvalues(a);
  values.forEach((x, i) => {
    expect(Math.abs(x - alone[i]!)).toBeLessThanOrEqual(limit * size(a));
  });
}

/** A + A', rounded once. */
function symmetric(a: Matrices, kind: Kind): Matrices {
  const other = turned(a);
  return matrixOf(
    Float64Array.from(a.data, (x, at) => x / 2 + other.data[at]! / 2),
    [...a.shape],
    kind,
  );
}

for (const kind of kinds) {
  describe(kind, () => {
    test("qr: A = Q R with orthonormal Q, thin and full", async () => {
      for (const shape of shapes) await checkQr(random(shape, kind), kind);
      for (const a of Object.values(hard(kind))) await checkQr(a, kind);
    });

    test("svd: A = U S V', orthonormal, sorted, thin and full, values alone alike", async () => {
      for (const shape of shapes) await checkSvd(random(shape, kind), kind);
      for (const a of Object.values(hard(kind))) await checkSvd(a, kind);
    });

    test("eigh: A = Q W Q', orthonormal, sorted, values alone alike", async () => {
      for (const n of squares) await checkEigh(symmetric(random([n, n], kind), kind), kind);
      for (const a of Object.values(hard(kind))) await checkEigh(symmetric(a, kind), kind);
    });

    test("cholesky: A = L L', lower triangular", async () => {
      for (const n of squares) {
        const a = definite(n, kind);
        const l = await cholesky(a);
        const limit = tolerance(kind) * n * size(a);
        expect(distance(multiply(l, turned(l)), a)).toBeLessThanOrEqual(limit);
        expect(l.data.every((x, at) => at % n <= Math.floor(at / n) || x === 0)).toBe(true);
      }
    });

    test("lu: rows of A in the order told are L U, with multipliers of at most 1", async () => {
      for (const [m, n] of shapes) {
        const a = random([m, n], kind);
        const { lu: packed, order } = await lu(a);
        const count = Math.min(m, n);
        const pick = (rows: number, columns: number, f: (i: number, j: number) => number) =>
          matrixOf(
            Array.from({ length: rows * columns }, (_, at) =>
              f(Math.floor(at / columns), at % columns),
            ),
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
    });
  });
}

test("a batch gives, matrix by matrix, the bits of each alone", async () => {
  const a = random([2, 3, 9, 6], "f32");
  const whole = { svd: await svd(a), qr: await qr(a), lu: await lu(a) };
  for (let index = 0; index < 6; index += 1) {
    const one = oneOf(a, index);
    const own = { svd: await svd(one), qr: await qr(one), lu: await lu(one) };
    expect(oneOf(whole.svd.u, index).data).toEqual(own.svd.u.data);
    expect(oneOf(whole.svd.vt, index).data).toEqual(own.svd.vt.data);
    expect([...whole.svd.s.slice(index * 6, index * 6 + 6)]).toEqual([...own.svd.s]);
    expect(oneOf(whole.qr.q, index).data).toEqual(own.qr.q.data);
    expect(oneOf(whole.lu.lu, index).data).toEqual(own.lu.lu.data);
    expect([...whole.lu.order.slice(index * 9, index * 9 + 9)]).toEqual([...own.lu.order]);
  }
});

test("matrices without elements have empty values and identities for bases", async () => {
  const none = matrixOf([], [0, 3]);
  const { u, s, vt } = await svd(none, { vectors: "full" });
  expect([u.shape, [...s], vt.shape]).toEqual([[0, 0], [], [3, 3]]);
  expect([...vt.data]).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 1]);
  const { q, r } = await qr(matrixOf([], [2, 0]), { mode: "full" });
  expect([[...q.data], r.shape]).toEqual([
    [1, 0, 0, 1],
    [2, 0],
  ]);
  expect((await eigh(matrixOf([], [0, 0]))).values.length).toBe(0);
  expect((await cholesky(matrixOf([], [0, 0]))).shape).toEqual([0, 0]);
});
