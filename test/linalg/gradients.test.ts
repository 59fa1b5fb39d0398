/** Gradients of decompositions, systems and norms against central differences in f64. */
import { describe, expect, test } from "bun:test";
import * as linalg from "../../src/linalg/index.ts";
import { einsum, eye, grad, randn, type Tensor, tensor } from "../../src/tensor/index.ts";
import { allowAlive } from "../leaks.ts";
import { throwsCode } from "../tensor/throws-code.ts";

// Programs of earlier calls are kept.
allowAlive("arena");

/** One number of tensors in which no element counts as another one. */
function mixed(...results: Tensor[]): Tensor {
  const sums = results.map((y, index) =>
    y.mul(randn(y.shape, { dtype: "f64", seed: 90 + index })).sum(),
  );
  return sums.reduce((sum, one) => sum.add(one));
}

const symmetric = (x: Tensor): Tensor => x.add(x.transpose()).mul(0.5);
const definite = (x: Tensor): Tensor =>
  symmetric(x).add(eye(x.shape.at(-1)!, { dtype: "f64" }).mul(5));
/** A basis whose signs a decomposition is free to choose. */
const signless = (q: Tensor): Tensor => q.mul(q);

interface Case {
  of: (a: Tensor, b: Tensor) => Tensor;
  a: number[];
  b?: number[];
}

const cases: Record<string, Case> = {
  cholesky: { of: (a) => mixed(linalg.cholesky(definite(a))), a: [4, 4] },
  "cholesky of a batch": { of: (a) => mixed(linalg.cholesky(definite(a))), a: [2, 3, 3] },
  solve: { of: (a, b) => mixed(linalg.solve(a, b)), a: [4, 4], b: [4, 3] },
  "solve for a vector": { of: (a, b) => mixed(linalg.solve(a, b)), a: [4, 4], b: [4] },
  "solve, batches that broadcast": {
    of: (a, b) => mixed(linalg.solve(a, b)),
    a: [2, 1, 3, 3],
    b: [2, 3, 2],
  },
  "solve, one matrix for a batch": {
    of: (a, b) => mixed(linalg.solve(a.transpose(), b)),
    a: [3, 3],
    b: [2, 3, 2],
  },
  "triangularSolve, lower": {
    of: (a, b) => mixed(linalg.triangularSolve(a, b)),
    a: [4, 4],
    b: [4, 2],
  },
  "triangularSolve, upper and unit": {
    of: (a, b) => mixed(linalg.triangularSolve(a, b, { lower: false, unit: true })),
    a: [4, 4],
    b: [4, 2],
  },
  inverse: { of: (a) => mixed(linalg.inverse(a)), a: [2, 3, 3] },
  det: { of: (a) => mixed(linalg.det(a)), a: [2, 4, 4] },
  slogdet: { of: (a) => mixed(linalg.slogdet(a).logAbsolute), a: [2, 4, 4] },
  lu: { of: (a) => mixed(linalg.lu(a).lu), a: [2, 4, 4] },
  "qr, tall": { of: (a) => mixed(...Object.values(linalg.qr(a))), a: [5, 3] },
  "qr, square": { of: (a) => mixed(...Object.values(linalg.qr(a))), a: [2, 3, 3] },
  "qr, wide": { of: (a) => mixed(...Object.values(linalg.qr(a))), a: [3, 5] },
  "qr, R alone": { of: (a) => mixed(linalg.qr(a).r), a: [4, 2] },
  "eigh, values alone": { of: (a) => mixed(linalg.eigenvalues(symmetric(a))), a: [2, 4, 4] },
  "eigh, values and vectors": {
    of(a) {
      const { values, vectors } = linalg.eigh(symmetric(a));
      return mixed(values, signless(vectors));
    },
    a: [2, 4, 4],
  },
  "singular values alone": { of: (a) => mixed(linalg.singularValues(a)), a: [2, 4, 3] },
  "svd, square and full": {
    of(a) {
      const { u, s, vt } = linalg.svd(a, { vectors: "full" });
      return mixed(signless(u), s, signless(vt), u.matmul(vt));
    },
    a: [3, 3],
  },
  "svd, tall": {
    of(a) {
      const { u, s, vt } = linalg.svd(a);
      return mixed(signless(u), s, signless(vt), u.matmul(vt));
    },
    a: [2, 5, 3],
  },
  "svd, wide, one basis": { of: (a) => mixed(signless(linalg.svd(a).vt)), a: [3, 5] },
  "pinv, tall": { of: (a) => mixed(linalg.pinv(a)), a: [2, 5, 3] },
  "pinv, wide": { of: (a) => mixed(linalg.pinv(a)), a: [3, 5] },
  "pinv of a rank that stays": {
    of: (a, b) => mixed(linalg.pinv(a.matmul(b), { tolerance: 1e-6 })),
    a: [4, 2],
    b: [2, 5],
  },
  "lstsq, tall": { of: (a, b) => mixed(linalg.lstsq(a, b).x), a: [5, 3], b: [5, 2] },
  "lstsq, wide, a batch": { of: (a, b) => mixed(linalg.lstsq(a, b).x), a: [2, 3, 5], b: [3, 2] },
  "lstsq for a vector": { of: (a, b) => mixed(linalg.lstsq(a, b).x), a: [5, 3], b: [5] },
  "norms of all kinds": {
    of: (a) =>
      mixed(
        ...(["fro", "nuc", 2, -2, 1, -1, "inf", "-inf"] as const).map((kind) =>
          linalg.norm(a, kind),
        ),
      ),
    a: [2, 3, 4],
  },
  "cond of all kinds": {
    of: (a) =>
      mixed(
        ...(["fro", "nuc", 2, -2, 1, -1, "inf", "-inf"] as const).map((kind) =>
          linalg.cond(a, kind),
        ),
      ),
    a: [3, 3],
  },
};

function ofShape(shape: readonly number[], values: ArrayLike<number>): Tensor {
  return tensor(Float64Array.from(values), { shape });
}

describe("against central differences", () => {
  for (const [name, { of, a, b = [1] }] of Object.entries(cases)) {
    test(name, () => {
      const shapes = [a, b];
      const values = shapes.map((shape, index) => [
        ...(randn(shape, { dtype: "f64", seed: 11 + index }).data() as Float64Array),
      ]);
      const at = (all: number[][]): [Tensor, Tensor] =>
        all.map((one, index) => ofShape(shapes[index]!, one)) as [Tensor, Tensor];
      const loss = (x: Tensor, z: Tensor): Tensor => of(x, z).add(z.sum().mul(0));
      const got = grad(loss as never)(...at(values)).map((one) => one.data() as Float64Array);
      const step = 1e-6;
      for (const [which, list] of values.entries()) {
        for (const index of list.keys()) {
          const [above, below] = [step, -step].map((change) => {
            const moved = values.map((one) => [...one]);
            moved[which]![index]! += change;
            return Number(loss(...at(moved)).item());
          });
          const want = (above! - below!) / (2 * step);
          const scale = Math.max(1, Math.abs(want));
          expect(Math.abs(got[which]![index]! - want) / scale).toBeLessThan(2e-6);
        }
      }
    });
  }
});

test("second derivatives go through: of log det, minus the squared inverse", () => {
  const a = randn([3, 3], { dtype: "f64", seed: 4 });
  const first = (x: Tensor): Tensor => grad((y) => linalg.slogdet(y).logAbsolute)(x)[0]!;
  const second = grad((x) => einsum("ii->", first(x)))(a)[0]!;
  const inverse = linalg.inverse(a);
  const want = inverse.matmul(inverse).transpose().neg();
  expect(Number(second.sub(want).abs().max().item())).toBeLessThan(1e-11);
});

test("of a symmetric matrix's triangle the gradient is symmetric", () => {
  const a = definite(randn([3, 3], { dtype: "f64", seed: 5 }));
  const of = [
    (x: Tensor) => mixed(linalg.cholesky(x)),
    (x: Tensor) => mixed(linalg.eigenvalues(x)),
  ];
  for (const loss of of) {
    const [g] = grad(loss)(a);
    expect(Number(g!.sub(g!.transpose()).abs().max().item())).toBeLessThan(1e-13);
  }
});

test("a norm of zeros has the gradient 0", () => {
  const zero = tensor([[0, 0]], { dtype: "f64" });
  expect(grad((x) => linalg.norm(x).sum())(zero)[0]!.toArray()).toEqual([[0, 0]]);
});

test("bases that are arbitrary in part have none, and singular matrices none of their determinant", () => {
  const tall = randn([4, 2], { dtype: "f64", seed: 6 });
  throwsCode("graph/no-gradient", () => grad((x) => linalg.qr(x, { mode: "full" }).q.sum())(tall));
  throwsCode("graph/no-gradient", () =>
    grad((x) => linalg.svd(x, { vectors: "full" }).u.sum())(tall),
  );
  throwsCode("graph/no-gradient", () => grad((x) => linalg.lu(x).lu.sum())(tall));
  const singular = tensor(
    [
      [1, 2],
      [2, 4],
    ],
    { dtype: "f64" },
  );
  throwsCode("linalg/singular", () => grad((x) => linalg.det(x))(singular)[0]!.data());
});
