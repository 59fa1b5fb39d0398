/** Systems, inverses, determinants and least squares: residuals, shapes, lazy recording. */
import { expect, test } from "bun:test";
import * as linalg from "../../src/linalg/index.ts";
import { memoryMetrics } from "../../src/native/index.ts";
import { compile, randn, type Tensor, tensor } from "../../src/tensor/index.ts";
import { allowAlive } from "../leaks.ts";
import {
  distance,
  type Kind,
  type Matrices,
  matrixOf,
  multiply,
  plainOf,
  random,
  size,
  tensorOf,
  tolerance,
} from "./measure.ts";

// Programs of earlier calls are kept.
allowAlive("arena");

const f64 = (values: number[] | number[][]): Tensor => tensor(values, { dtype: "f64" });

/** The largest difference of two tensors' elements. */
function off(a: Tensor, b: Tensor): number {
  expect(a.shape).toEqual(b.shape);
  return Number(a.sub(b).abs().max().item());
}

for (const kind of ["f32", "f64"] as const) {
  test(`${kind}: solve and triangularSolve leave residuals within rounding`, () => {
    for (const n of [1, 5, 31, 32, 33, 48, 49, 97]) {
      for (const columns of [1, 3, 40]) {
        const a = random([n, n], kind);
        const b = random([n, columns], kind, 2);
        const x = plainOf(linalg.solve(tensorOf(a), tensorOf(b)));
        const limit = tolerance(kind) * n * (size(a) * size(x) + size(b));
        expect(distance(multiply(a, x), b)).toBeLessThanOrEqual(limit);
        for (const lower of [true, false]) {
          for (const unit of [true, false]) {
            const t = triangle(n, { lower, unit, kind });
            const options = { lower, unit };
            const y = plainOf(linalg.triangularSolve(tensorOf(t.stored), tensorOf(b), options));
            const bound = tolerance(kind) * n * (size(t.meant) * size(y) + size(b));
            expect(distance(multiply(t.meant, y), b)).toBeLessThanOrEqual(bound);
          }
        }
      }
    }
  });
}

/** A triangular matrix with what is not finite in the places that must not be read. */
function triangle(
  n: number,
  { lower, unit, kind }: { lower: boolean; unit: boolean; kind: Kind },
): { stored: Matrices; meant: Matrices } {
  const stored = random([n, n], kind, 3);
  for (let i = 0; i < n; i += 1) stored.data[i * n + i] = unit ? Number.NaN : 4 + (i % 3);
  const meant = matrixOf(stored.data, [n, n]);
  for (let at = 0; at < n * n; at += 1) {
    const [i, j] = [Math.floor(at / n), at % n];
    if (i === j) {
      if (unit) meant.data[at] = 1;
      continue;
    }
    stored.data[at]! /= n;
    meant.data[at] = stored.data[at]!;
    if (lower ? j > i : j < i) {
      meant.data[at] = 0;
      stored.data[at] = Number.POSITIVE_INFINITY;
    }
  }
  return { stored, meant };
}

test("a vector on the right gives a vector, and batches broadcast on either side", () => {
  const a = randn([2, 3, 4, 4], { dtype: "f64", seed: 1 });
  const b = randn([4, 2], { dtype: "f64", seed: 2 });
  const whole = linalg.solve(a, b);
  expect(whole.shape).toEqual([2, 3, 4, 2]);
  expect(off(a.matmul(whole), b.expand(2, 3, 4, 2))).toBeLessThan(1e-12);
  expect(linalg.solve(a, b.at(":", 0)).shape).toEqual([2, 3, 4]);
  expect(off(linalg.solve(a, b.at(":", 0)), whole.at("...", 0))).toBeLessThan(1e-12);
  // One matrix and a batch of right-hand sides.
  const many = randn([5, 2, 4, 3], { dtype: "f64", seed: 3 });
  const first = a.at(0, 0);
  expect(off(first.matmul(linalg.solve(first, many)), many)).toBeLessThan(1e-12);
  expect(off(linalg.solve(a.at(":", 0), many), linalg.solve(a.at(":", 0), many.clone()))).toBe(0);
  expect(linalg.lstsq(randn([6, 4], { seed: 1 }), randn([2, 6, 3], { seed: 2 })).x.shape).toEqual([
    2, 4, 3,
  ]);
});

test("nothing runs before it is read, views are taken as they are, and other ops join the trace", () => {
  const a = randn([5, 5], { dtype: "f64", seed: 1 });
  const x = linalg.solve(a.transpose(), a.at("::-1", ":2"));
  expect(Bun.inspect(x)).toContain("not computed yet");
  expect(off(a.transpose().matmul(x), a.at("::-1", ":2"))).toBeLessThan(1e-13);
  const trace = linalg.inverse(a).matmul(a).sum().add(linalg.det(a).mul(0));
  expect(Number(trace.item())).toBeCloseTo(5, 10);
});

test("what a decomposition works in is not kept", () => {
  const a = randn([100, 100], { dtype: "f64", seed: 1 });
  a.data();
  const before = memoryMetrics().usedBy.tensor;
  using x = linalg.solve(a, a);
  const { q, r } = linalg.qr(a);
  for (const one of [x, q, r]) one.data();
  expect(memoryMetrics().usedBy.tensor - before).toBe(3 * 8 * 100 * 100);
});

test("a compiled function solves as an uncompiled one", () => {
  const step = compile((a, b) => linalg.solve(a.matmul(a.transpose()), b).mul(2));
  for (const seed of [1, 2]) {
    const [a, b] = [randn([4, 4], { seed }), randn([4, 1], { seed: seed + 5 })];
    const plain = linalg.solve(a.matmul(a.transpose()), b).mul(2);
    expect(step(a, b).toArray()).toEqual(plain.toArray());
  }
});

test("dtypes: f64 with f32 gives f64, all but f64 give f32", () => {
  const wide = f64([[2]]);
  expect(linalg.solve(wide, tensor([[1]])).dtype).toBe("f64");
  expect(linalg.inverse(tensor([[2]], { dtype: "i32" })).toArray()).toEqual([[0.5]]);
  expect(linalg.svd(tensor([[2]], { dtype: "bf16" })).s.dtype).toBe("f32");
});

test("inverse and det: A A^-1 is the identity, and det of a product is the product", () => {
  const a = randn([2, 20, 20], { dtype: "f64", seed: 1 });
  const b = randn([2, 20, 20], { dtype: "f64", seed: 2 });
  const identity = a.matmul(linalg.inverse(a)).at(0).toArray() as number[][];
  identity.flat().forEach((x, at) => {
    expect(Math.abs(x - (at % 21 === 0 ? 1 : 0))).toBeLessThan(1e-11);
  });
  const ratio = linalg.det(a.matmul(b)).div(linalg.det(a).mul(linalg.det(b)));
  expect(off(ratio, f64([1, 1]))).toBeLessThan(1e-10);
  const { sign, logAbsolute } = linalg.slogdet(a);
  expect(off(sign.mul(logAbsolute.exp()).div(linalg.det(a)), f64([1, 1]))).toBeLessThan(1e-10);
  expect(
    linalg
      .det(
        tensor([
          [0, 1],
          [1, 0],
        ]),
      )
      .item(),
  ).toBe(-1);
  const singular = f64([
    [1, 2],
    [2, 4],
  ]);
  expect(linalg.det(singular).item()).toBe(0);
  const none = linalg.slogdet(singular);
  expect([none.sign.item(), none.logAbsolute.item()]).toEqual([0, Number.NEGATIVE_INFINITY]);
});

test("lstsq: the residual is orthogonal to A, and rank-deficient systems get the least norm", () => {
  const a = randn([3, 30, 7], { dtype: "f64", seed: 1 });
  const b = randn([3, 30, 2], { dtype: "f64", seed: 2 });
  const { x, rank, singularValues } = linalg.lstsq(a, b);
  const along = a.transpose().matmul(a.matmul(x).sub(b));
  expect(Number(along.abs().max().item())).toBeLessThan(1e-12);
  expect([rank.toArray(), singularValues.shape]).toEqual([
    [7, 7, 7],
    [3, 7],
  ]);
  const found = linalg.lstsq(
    f64([
      [1, 1],
      [1, 1],
    ]),
    f64([2, 2]),
  );
  expect(found.rank.item()).toBe(1);
  expect(off(found.x, f64([1, 1]))).toBeLessThan(1e-14);
  // Wide: the solution of least norm is that of the pseudo-inverse.
  const wide = randn([3, 5], { dtype: "f64", seed: 3 });
  const right = randn([3], { dtype: "f64", seed: 4 });
  expect(off(linalg.lstsq(wide, right).x, linalg.pinv(wide).matmul(right))).toBeLessThan(1e-13);
});

test("pinv: the four Penrose conditions hold for tall, wide and rank-deficient matrices", () => {
  const of = (m: number, n: number, seed: number) => randn([m, n], { dtype: "f64", seed });
  for (const a of [of(9, 4, 1), of(4, 9, 2), of(9, 3, 3).matmul(of(3, 12, 4))]) {
    const p = linalg.pinv(a);
    const [ap, pa] = [a.matmul(p), p.matmul(a)];
    expect(off(ap.matmul(a), a)).toBeLessThan(1e-12);
    expect(off(pa.matmul(p), p)).toBeLessThan(1e-12);
    expect(off(ap.transpose(), ap)).toBeLessThan(1e-12);
    expect(off(pa.transpose(), pa)).toBeLessThan(1e-12);
  }
});
