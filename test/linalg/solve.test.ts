/** Systems, inverses and least squares by their residuals; what is refused, and with which code. */
import { describe, expect, test } from "bun:test";
import { BitNetError } from "../../src/errors/index.ts";
import {
  cholesky,
  cond,
  det,
  eigh,
  inverse,
  lstsq,
  type Matrices,
  matmul,
  matrices,
  norm,
  pinv,
  qr,
  rank,
  slogdet,
  solve,
  svd,
  triangularSolve,
} from "../../src/linalg/index.ts";
import { allowAlive } from "../leaks.ts";
import { distance, matrixOf, multiply, random, size, tolerance, turned } from "./measure.ts";

// Programs of earlier calls are kept.
allowAlive("arena");

for (const kind of ["f32", "f64"] as const) {
  test(`${kind}: solve and triangularSolve leave residuals within rounding`, async () => {
    for (const n of [1, 5, 31, 32, 33, 48, 49, 97]) {
      for (const columns of [1, 3, 40]) {
        const a = random([n, n], kind);
        const b = random([n, columns], kind, 2);
        const x = await solve(a, b);
        const limit = tolerance(kind) * n * (size(a) * size(x) + size(b));
        expect(distance(multiply(a, x), b)).toBeLessThanOrEqual(limit);
        for (const lower of [true, false]) {
          for (const unit of [true, false]) {
            const t = triangle(n, { lower, unit, kind });
            const y = await triangularSolve(t.stored, b, { lower, unit });
            const bound = tolerance(kind) * n * (size(t.meant) * size(y) + size(b));
            expect(distance(multiply(t.meant, y), b)).toBeLessThanOrEqual(bound);
          }
        }
      }
    }
  });
}

/** A triangular matrix with something else in the places that must not be read. */
function triangle(
  n: number,
  { lower, unit, kind }: { lower: boolean; unit: boolean; kind: "f32" | "f64" },
): { stored: Matrices; meant: Matrices } {
  const stored = random([n, n], kind, 3);
  for (let i = 0; i < n; i += 1) stored.data[i * n + i] = unit ? 77 : 4 + (i % 3);
  for (let at = 0; at < n * n; at += 1) {
    if (at % n !== Math.floor(at / n)) stored.data[at]! /= n;
  }
  const meant = matrixOf(stored.data, [n, n]);
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < n; j += 1) {
      if (lower ? j > i : j < i) meant.data[i * n + j] = 0;
      if (unit && i === j) meant.data[i * n + j] = 1;
    }
  }
  return { stored, meant };
}

test("inverse and det: A A^-1 is the identity, and det of a product is the product", async () => {
  const a = random([20, 20], "f64");
  const b = random([20, 20], "f64", 2);
  const identity = multiply(a, await inverse(a));
  identity.data.forEach((x, at) => {
    expect(Math.abs(x - (at % 21 === 0 ? 1 : 0))).toBeLessThan(1e-11);
  });
  const product = await det(multiply(a, b));
  expect(product / ((await det(a)) * (await det(b)))).toBeCloseTo(1, 10);
  expect(await det(matrixOf([0, 1, 1, 0], [2, 2]))).toBe(-1);
  expect(await det(matrixOf([1, 2, 2, 4], [2, 2]))).toBe(0);
  expect(await det(matrixOf([], [0, 0]))).toBe(1);
  const singular = matrixOf([1, 2, 2, 4], [2, 2]);
  expect(await slogdet(singular)).toEqual({ sign: 0, logAbsolute: Number.NEGATIVE_INFINITY });
});

test("lstsq: the residual is orthogonal to A, and rank-deficient systems get the least norm", async () => {
  const a = random([30, 7], "f64");
  const b = random([30, 2], "f64", 2);
  const { x } = await lstsq(a, b);
  const left = multiply(a, x).data.map((y, at) => y - b.data[at]!);
  const along = multiply(turned(a), { data: left, shape: [30, 2] });
  expect(size(along)).toBeLessThan(1e-12);
  const ones = matrixOf([1, 1, 1, 1], [2, 2]);
  const found = await lstsq(ones, matrixOf([2, 2], [2, 1]));
  expect(found.rank).toBe(1);
  expect(distance(found.x, matrixOf([1, 1], [2, 1]))).toBeLessThan(1e-14);
});

test("pinv: the four Penrose conditions hold for tall, wide and rank-deficient matrices", async () => {
  const deficient = multiply(random([9, 3], "f64"), random([3, 12], "f64", 2));
  for (const a of [random([9, 4], "f64"), random([4, 9], "f64"), deficient]) {
    const p = await pinv(a);
    const [ap, pa] = [multiply(a, p), multiply(p, a)];
    expect(distance(multiply(ap, a), a)).toBeLessThan(1e-12);
    expect(distance(multiply(pa, p), p)).toBeLessThan(1e-12);
    expect(distance(turned(ap), ap)).toBeLessThan(1e-12);
    expect(distance(turned(pa), pa)).toBeLessThan(1e-12);
  }
});

test("norm, cond, rank: as defined, tolerances as asked", async () => {
  const a = matrixOf([3, -4, 0, 1, 0, 2], [2, 3]);
  expect(await norm(a)).toBeCloseTo(Math.sqrt(30), 14);
  const sums = await Promise.all(([1, -1, "inf", "-inf"] as const).map((kind) => norm(a, kind)));
  expect(sums).toEqual([4, 2, 7, 3]);
  const d = matrixOf([4, 0, 0, 1e-3], [2, 2]);
  expect([await norm(d, 2), await norm(d, -2), await norm(d, "nuc")]).toEqual([4, 1e-3, 4.001]);
  expect(await cond(d)).toBe(4000);
  expect([await rank(d), await rank(d, { tolerance: 1e-2 })]).toEqual([2, 1]);
  expect(await cond(matrixOf([0, 0, 0, 0], [2, 2]))).toBe(Number.POSITIVE_INFINITY);
});

test("matmul: batches of 1 are read again", async () => {
  const a = random([4, 1, 3, 5], "f64");
  const b = random([2, 5, 2], "f64", 2);
  expect((await matmul(a, b)).shape).toEqual([4, 2, 3, 2]);
});

async function codeOf(work: () => Promise<unknown> | unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof BitNetError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no error";
}

describe("refused", () => {
  const square = matrixOf([1, 2, 3, 4], [2, 2]);
  const wide = matrixOf([1, 2, 3, 4, 5, 6], [2, 3]);

  test("shapes that do not fit, with what was wanted and what came", async () => {
    for (const [work, message] of [
      [() => matrices(new Float32Array(3), [2, 2]), "want 4 elements for (2, 2), got 3"],
      [() => matrices(new Float32Array(3), [3]), "want a shape (..., m, n)"],
      [() => cholesky(wide), "want cholesky: square matrices, got (2, 3)"],
      [() => eigh(wide), "want eigh: square matrices, got (2, 3)"],
      [() => det(random([2, 3, 3], "f64")), "want det: one matrix, got (2, 3, 3)"],
      [() => solve(square, matrixOf([1, 2, 3], [3, 1])), "for (2, 2), got (3, 1)"],
      [() => lstsq(wide, matrixOf([1, 2, 3], [3, 1])), "got (2, 3), (3, 1)"],
      [() => matmul(wide, wide), "got (2, 3) by (2, 3)"],
      [() => solve(square, matrixOf([1, 2], [2, 1], "f32")), "all matrices in f32 or all in f64"],
    ] as const) {
      const told = await codeOf(work);
      expect(told).toStartWith("linalg/shape-mismatch");
      expect(told).toContain(message);
    }
  });

  test("matrices without an answer, by their code", async () => {
    const singular = matrixOf([1, 2, 2, 4], [2, 2]);
    expect(await codeOf(() => solve(singular, square))).toBe(
      "linalg/singular: solve: want invertible matrices, but matrix 0 has no pivot in column 1",
    );
    expect(await codeOf(() => inverse(singular))).toStartWith("linalg/singular");
    const zero = matrixOf([1, 5, 0, 0], [2, 2]);
    expect(await codeOf(() => triangularSolve(zero, square))).toStartWith("linalg/singular");
    expect(await codeOf(() => cholesky(matrixOf([1, 0, 0, -1], [2, 2])))).toBe(
      "linalg/not-positive-definite: cholesky: want positive definite matrices, but of matrix 0 " +
        "the leading minor of order 2 is not positive",
    );
  });

  test("elements that are not finite, with their place", async () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const a = matrixOf([1, 2, bad, 4], [2, 2]);
      for (const work of [svd, qr, eigh, cholesky, inverse, det, pinv, rank, cond]) {
        const told = await codeOf(() => work(a));
        expect(told).toStartWith("linalg/not-finite");
        expect(told).toContain(`got ${bad} at 2 of (2, 2)`);
      }
    }
  });

  test("options that make no sense", async () => {
    const code = "linalg/invalid-option";
    expect(await codeOf(() => rank(square, { tolerance: -1 }))).toStartWith(code);
    expect(await codeOf(() => norm(square, "max" as "fro"))).toStartWith(code);
  });
});
