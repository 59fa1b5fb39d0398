/** What linear algebra refuses: shapes at once, data when the result is read. */
import { describe, expect, test } from "bun:test";
import { BitNetError } from "../../src/errors/index.ts";
import * as linalg from "../../src/linalg/index.ts";
import { eye, ones, stack, type Tensor, tensor, zeros } from "../../src/tensor/index.ts";
import { allowAlive } from "../leaks.ts";

// Programs of earlier calls are kept.
allowAlive("arena");

const square = () =>
  tensor([
    [1, 2],
    [3, 4],
  ]);
const wide = () =>
  tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);

function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof BitNetError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no error";
}

test("shapes that do not fit are refused at once, with what was wanted and what came", () => {
  for (const [work, message] of [
    [() => linalg.svd(tensor([1, 2])), "want svd: a matrix or a batch of them, got (2)"],
    [() => linalg.cholesky(wide()), "want cholesky: square matrices, got (2, 3)"],
    [() => linalg.eigh(wide()), "want eigh: square matrices, got (2, 3)"],
    [() => linalg.det(wide()), "want det: square matrices, got (2, 3)"],
    [() => linalg.cond(wide(), 1), "want cond: square matrices, got (2, 3)"],
    [() => linalg.solve(square(), tensor([1, 2, 3])), "(..., 2, columns) for (2, 2), got (3)"],
    [() => linalg.lstsq(wide(), zeros([3, 1])), "(..., 2, columns) for (2, 3), got (3, 1)"],
    [() => linalg.norm(zeros([1, 2 ** 20 + 1])), "at most 1048576 rows and columns"],
  ] as const) {
    const told = refusalOf(work);
    expect(told).toStartWith("linalg/shape-mismatch");
    expect(told).toContain(message);
  }
  const batches = refusalOf(() => linalg.solve(zeros([2, 2, 2]), zeros([3, 2, 1])));
  expect(batches).toStartWith("tensor/shape-mismatch");
});

test("options that make no sense are refused at once", () => {
  const code = "linalg/invalid-option";
  expect(refusalOf(() => linalg.rank(square(), { tolerance: -1 }))).toStartWith(code);
  expect(refusalOf(() => linalg.pinv(square(), { tolerance: Number.NaN }))).toStartWith(code);
  expect(refusalOf(() => linalg.norm(square(), "max" as "fro"))).toStartWith(code);
  expect(refusalOf(() => linalg.qr(square(), { mode: "raw" as "full" }))).toStartWith(code);
  expect(refusalOf(() => linalg.svd(square(), { vectors: "all" as "full" }))).toStartWith(code);
});

describe("data", () => {
  const singular = () =>
    tensor([
      [1, 2],
      [2, 4],
    ]);

  test("without an answer is refused when it is read, with the matrix and the place", () => {
    const batch = stack([square(), singular()]);
    const x = linalg.solve(batch, square()).sum();
    expect(refusalOf(() => x.item())).toBe(
      "linalg/singular: want invertible matrices, but matrix 1 has no pivot in column 1",
    );
    expect(refusalOf(() => linalg.inverse(singular()).data())).toStartWith("linalg/singular");
    const zero = tensor([
      [1, 5],
      [0, 0],
    ]);
    expect(refusalOf(() => linalg.triangularSolve(zero, square()).data())).toStartWith(
      "linalg/singular",
    );
    expect(
      refusalOf(() =>
        linalg
          .cholesky(
            tensor([
              [1, 0],
              [0, -1],
            ]),
          )
          .data(),
      ),
    ).toBe(
      "linalg/not-positive-definite: want positive definite matrices, but of matrix 0 the leading " +
        "minor of order 2 is not positive",
    );
  });

  test("of a size that threads share is refused alike", () => {
    const big = stack([eye(200), ones([200, 200])]);
    expect(refusalOf(() => linalg.solve(big, big).data())).toBe(
      "linalg/singular: want invertible matrices, but matrix 1 has no pivot in column 1",
    );
  });

  test("that is refused leaves the rest of its trace alone, and is refused again", () => {
    const x = square();
    const bad = linalg.solve(singular(), x);
    const good = linalg.solve(eye(2), x).add(1);
    expect(good.toArray()).toEqual([
      [2, 3],
      [4, 5],
    ]);
    for (const _ of [1, 2]) expect(refusalOf(() => bad.data())).toStartWith("linalg/singular");
    expect(good.sum().item()).toBe(14);
  });

  test("that is not finite is refused, with its row", () => {
    const works: ((a: Tensor) => Tensor)[] = [
      (a) => linalg.svd(a).s,
      linalg.singularValues,
      (a) => linalg.qr(a).r,
      (a) => linalg.eigh(a).values,
      (a) => linalg.lu(a).lu,
      linalg.cholesky,
      linalg.inverse,
      linalg.det,
      linalg.pinv,
      linalg.rank,
      linalg.cond,
      (a) => linalg.norm(a, 2),
      (a) => linalg.solve(square(), a),
      (a) => linalg.triangularSolve(a, square()),
    ];
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const work of works) {
        const told = refusalOf(() =>
          work(
            tensor([
              [1, 2],
              [bad, 4],
            ]),
          ).data(),
        );
        expect(told).toStartWith("linalg/not-finite");
        expect(told).toContain("matrix 0 has others in row");
      }
    }
  });
});
