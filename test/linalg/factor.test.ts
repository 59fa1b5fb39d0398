/**
 * Decompositions against their definition: residual and orthogonality within 50 eps times norm and
 * size, for extents around every block, both dtypes, ill-conditioned and degenerate matrices.
 */
import { describe, expect, test } from "bun:test";
import { allowAlive } from "../leaks.ts";
import { definite, type Kind, type Matrices, matrixOf, oneOf, random, turned } from "./measure.ts";
import {
  checkCholesky,
  checkEigh,
  checkLu,
  checkQr,
  checkSvd,
  cholesky,
  eigh,
  lu,
  qr,
  svd,
} from "./residuals.ts";

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
    test("qr: A = Q R with orthonormal Q, thin and full", () => {
      for (const shape of shapes) checkQr(random(shape, kind), kind);
      for (const a of Object.values(hard(kind))) checkQr(a, kind);
    });

    test("svd: A = U S V', orthonormal, sorted, thin and full, values alone alike", () => {
      for (const shape of shapes) checkSvd(random(shape, kind), kind);
      for (const a of Object.values(hard(kind))) checkSvd(a, kind);
    });

    test("eigh: A = Q W Q', orthonormal, sorted, values alone alike", () => {
      for (const n of squares) checkEigh(symmetric(random([n, n], kind), kind), kind);
      for (const a of Object.values(hard(kind))) checkEigh(symmetric(a, kind), kind);
    });

    test("cholesky: A = L L', lower triangular", () => {
      for (const n of squares) checkCholesky(definite(n, kind), kind);
    });

    test("lu: rows of A in the order told are L U, with multipliers of at most 1", () => {
      for (const shape of shapes) checkLu(random(shape, kind), kind);
      for (const a of Object.values(hard(kind))) checkLu(a, kind);
    });
  });
}

test("a batch gives, matrix by matrix, the bits of each alone", () => {
  const a = random([2, 3, 9, 6], "f32");
  const whole = { svd: svd(a), qr: qr(a), lu: lu(a) };
  for (let index = 0; index < 6; index += 1) {
    const one = oneOf(a, index);
    const own = { svd: svd(one), qr: qr(one), lu: lu(one) };
    expect(oneOf(whole.svd.u, index).data).toEqual(own.svd.u.data);
    expect(oneOf(whole.svd.vt, index).data).toEqual(own.svd.vt.data);
    expect([...whole.svd.s.slice(index * 6, index * 6 + 6)]).toEqual([...own.svd.s]);
    expect(oneOf(whole.qr.q, index).data).toEqual(own.qr.q.data);
    expect(oneOf(whole.lu.lu, index).data).toEqual(own.lu.lu.data);
    expect([...whole.lu.order.slice(index * 9, index * 9 + 9)]).toEqual([...own.lu.order]);
  }
});

test("matrices without elements have empty values and identities for bases", () => {
  const none = matrixOf([], [0, 3]);
  const { u, s, vt } = svd(none, { vectors: "full" });
  expect([u.shape, [...s], vt.shape]).toEqual([[0, 0], [], [3, 3]]);
  expect([...vt.data]).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 1]);
  const { q, r } = qr(matrixOf([], [2, 0]), { mode: "full" });
  expect([[...q.data], r.shape]).toEqual([
    [1, 0, 0, 1],
    [2, 0],
  ]);
  expect(eigh(matrixOf([], [0, 0])).values.length).toBe(0);
  expect(cholesky(matrixOf([], [0, 0])).shape).toEqual([0, 0]);
});
