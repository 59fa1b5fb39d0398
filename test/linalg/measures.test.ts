/** Norms, condition and rank as defined, of one matrix and of batches, of all and of nothing. */
import { describe, expect, test } from "bun:test";
import * as linalg from "../../src/linalg/index.ts";
import { randn, stack, type Tensor, tensor, zeros } from "../../src/tensor/index.ts";
import { allowAlive } from "../leaks.ts";

// Programs of earlier calls are kept.
allowAlive("arena");

const kinds = ["fro", "nuc", 2, -2, 1, -1, "inf", "-inf"] as const;
const f64 = (values: number[][]): Tensor => tensor(values, { dtype: "f64" });
const numbers = (all: readonly Tensor[]): number[] => all.map((one) => Number(one.item()));

describe("norm", () => {
  test("is what its kind says", () => {
    const a = f64([
      [3, -4, 0],
      [1, 0, 2],
    ]);
    expect(numbers(([1, -1, "inf", "-inf"] as const).map((kind) => linalg.norm(a, kind)))).toEqual([
      4, 2, 7, 3,
    ]);
    expect(linalg.norm(a).item()).toBeCloseTo(Math.sqrt(30), 14);
    const d = f64([
      [4, 0],
      [0, 1e-3],
    ]);
    expect(numbers(([2, -2, "nuc"] as const).map((kind) => linalg.norm(d, kind)))).toEqual([
      4, 1e-3, 4.001,
    ]);
  });

  test("of a batch are those of its matrices", () => {
    const batch = randn([2, 3, 4, 5], { dtype: "f64", seed: 1 });
    for (const kind of kinds) {
      const all = linalg.norm(batch, kind);
      expect(all.shape).toEqual([2, 3]);
      expect(all.at(1, 2).item()).toBeCloseTo(Number(linalg.norm(batch.at(1, 2), kind).item()), 12);
    }
  });

  test("neither overflows nor vanishes, and passes on what is not finite", () => {
    const big = f64([
      [3e200, 0],
      [0, 4e200],
    ]);
    expect(Number(linalg.norm(big).item()) / 5e200).toBeCloseTo(1, 14);
    expect(Number(linalg.norm(big.mul(1e-300).mul(1e-100)).item()) / 5e-200).toBeCloseTo(1, 14);
    expect(linalg.norm(zeros([2, 3])).item()).toBe(0);
    const infinite = tensor([[Number.POSITIVE_INFINITY, 1]]);
    expect(linalg.norm(infinite).item()).toBe(Number.POSITIVE_INFINITY);
    expect(linalg.norm(infinite, 1).item()).toBe(Number.POSITIVE_INFINITY);
    expect(linalg.norm(tensor([[Number.NaN, 1]])).item()).toBeNaN();
  });
});

describe("cond", () => {
  test("is the norm times that of the inverse, in every kind", () => {
    const a = randn([3, 6, 6], { dtype: "f64", seed: 1 });
    for (const kind of kinds) {
      const product = linalg.norm(a, kind).mul(linalg.norm(linalg.inverse(a), kind));
      const ratios = linalg.cond(a, kind).div(product).toArray() as number[];
      for (const ratio of ratios) expect(ratio).toBeCloseTo(1, 9);
    }
    expect(
      linalg
        .cond(
          f64([
            [4, 0],
            [0, 1e-3],
          ]),
        )
        .item(),
    ).toBe(4000);
  });

  test("is infinite in every kind where a singular value is 0", () => {
    for (const kind of kinds) {
      expect(linalg.cond(zeros([2, 2]), kind).item()).toBe(Number.POSITIVE_INFINITY);
    }
    expect(linalg.cond(zeros([2, 3])).item()).toBe(Number.POSITIVE_INFINITY);
  });
});

test("rank: values up to the tolerance times the largest do not count", () => {
  const d = f64([
    [4, 0],
    [0, 1e-3],
  ]);
  expect(linalg.rank(d).item()).toBe(2);
  expect(linalg.rank(d, { tolerance: 1e-2 }).item()).toBe(1);
  expect(linalg.rank(d, { tolerance: 0 }).item()).toBe(2);
  expect(linalg.rank(stack([d, d.mul(0)])).toArray()).toEqual([2, 0]);
  expect(
    linalg
      .rank(
        tensor([
          [1, 1e-8],
          [1e-8, 1e-16],
        ]),
      )
      .item(),
  ).toBe(1);
});

test("of matrices without elements: norms and condition 0, rank 0, determinant 1", () => {
  const none = zeros([2, 0, 3]);
  for (const kind of kinds) expect(linalg.norm(none, kind).toArray()).toEqual([0, 0]);
  expect(linalg.cond(none).toArray()).toEqual([0, 0]);
  expect(linalg.rank(none).toArray()).toEqual([0, 0]);
  expect(linalg.det(zeros([0, 0])).item()).toBe(1);
  expect(linalg.inverse(zeros([0, 0])).shape).toEqual([0, 0]);
  expect(linalg.pinv(none).shape).toEqual([2, 3, 0]);
  expect(linalg.lstsq(none, zeros([2, 0, 4])).x.toArray()).toEqual(zeros([2, 3, 4]).toArray());
});
