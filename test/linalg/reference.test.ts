/**
 * Against NumPy 2.4.6 in f64 (test/fixtures/units/linalg.json), ill-conditioned cases included:
 * every value of every case, and residuals of all decompositions.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import * as linalg from "../../src/linalg/index.ts";
import { einsum, type Tensor, tensor } from "../../src/tensor/index.ts";
import { allowAlive } from "../leaks.ts";
import { throwsCode } from "../tensor/throws-code.ts";
import { matrixOf, tensorOf } from "./measure.ts";
import { checkCholesky, checkEigh, checkLu, checkQr, checkSvd } from "./residuals.ts";

// Programs of earlier calls are kept.
allowAlive("arena");

interface Case {
  name: string;
  shape: [number, number];
  a: number[][];
  singular_values: number[];
  cond_2: number | null;
  rank: number;
  [value: string]: unknown;
}

const file = join(import.meta.dir, "..", "fixtures", "units", "linalg.json");
const { cases } = (await Bun.file(file).json()) as { cases: Case[] };

const f64 = (values: readonly number[] | readonly number[][]): Tensor =>
  tensor(values as number[], { dtype: "f64" });

/** All elements within a limit of what is wanted. */
function expectNear(got: Tensor, want: readonly number[] | readonly number[][], limit: number) {
  const wanted = f64(want);
  expect(got.shape).toEqual(wanted.shape);
  if (wanted.size === 0) return;
  expect(Number(got.sub(wanted).abs().max().item())).toBeLessThanOrEqual(limit);
}

function largestOf(values: readonly number[] | readonly number[][]): number {
  return Math.max(...[values].flat(2).map(Math.abs));
}

/** What is known of a case besides its name and matrix, and how each value is compared. */
const comparisons: Record<string, (a: Tensor, want: never, given: Case) => void> = {
  singular_values: (a, want: number[]) =>
    expectNear(linalg.singularValues(a), want, 1e-10 * want[0]!),
  rank: (a, want: number) => expect(linalg.rank(a).item()).toBe(want),
  frobenius: (a, want: number) => expectNear(linalg.norm(a), want as never, 1e-12 * want),
  nuclear: (a, want: number) => expectNear(linalg.norm(a, "nuc"), want as never, 1e-10 * want),
  cond_2(a, want: number | null) {
    const got = Number(linalg.cond(a).item());
    if (want === null) expect(got).toBe(Number.POSITIVE_INFINITY);
    else if (want > 1e15) expect(got).toBeGreaterThan(1e15);
    // Rounding moves the smallest singular value by eps times the largest.
    else expect(Math.abs(got / want - 1)).toBeLessThan(1e-14 * want + 1e-12);
  },
  qr_r_abs_diag(a, want: number[]) {
    const got = einsum("ii->i", linalg.qr(a).r.at(`:${want.length}`, `:${want.length}`)).abs();
    // Where the rank is deficient what is left is rounding.
    const isSure = f64(want).gt(1e-10 * largestOf(want));
    const off = got.sub(f64(want)).abs().where(isSure, 0).max();
    expect(Number(off.item())).toBeLessThanOrEqual(1e-9 * largestOf(want));
  },
  trace: (a, want: number) => {
    expect(Math.abs(Number(einsum("ii->", a).item()) - want)).toBeLessThan(
      1e-12 * largestOf([want, 1]),
    );
  },
  det_sign(a, want: number, { rank, shape }) {
    if (rank === shape[0]) expect(linalg.slogdet(a).sign.item()).toBe(want);
  },
  log_abs_det(a, want: number, { rank, shape, singular_values: [most], cond_2 }) {
    const got = Number(linalg.slogdet(a).logAbsolute.item());
    if (rank < shape[0]) expect(Math.exp(got)).toBeLessThan(1e-9 * most! ** shape[0]);
    else expect(Math.abs(got - want)).toBeLessThan(1e-12 * cond_2! + 1e-12);
  },
  solve_b: () => {},
  solve_x(a, want: number[], { solve_b: b, cond_2 }) {
    const limit = 1e-9 * cond_2! * Math.max(1, largestOf(want));
    expectNear(linalg.solve(a, f64(b as number[])), want, limit);
  },
  inverse: (a, want: number[][], { cond_2 }) =>
    expectNear(linalg.inverse(a), want, 1e-9 * cond_2! * largestOf(want)),
  pinv: (a, want: number[][]) => expectNear(linalg.pinv(a), want, 1e-9 * largestOf(want)),
  lstsq_b: () => {},
  lstsq_x(a, want: number[], { lstsq_b: b, rank }) {
    const got = linalg.lstsq(a, f64(b as number[]));
    expectNear(got.x, want, 1e-9);
    expect(got.rank.item()).toBe(rank);
  },
  eigvalsh: (a, want: number[]) => expectNear(linalg.eigenvalues(a), want, 1e-10 * largestOf(want)),
  cholesky_lower(a, want: number[][] | null, { singular_values: [most], cond_2 }) {
    if (want === null) {
      throwsCode("linalg/not-positive-definite", () => linalg.cholesky(a).data());
    } else {
      expectNear(linalg.cholesky(a), want, 1e-14 * cond_2! * Math.sqrt(most!) + 1e-12);
    }
  },
};

describe.each(cases)("$name", (given) => {
  const { name, shape, a, ...values } = given;
  const plain = matrixOf(a.flat(), shape);

  test.each(Object.keys(values))("%s", (value) => {
    comparisons[value]!(tensorOf(plain), given[value] as never, given);
  });

  test("residuals and orthogonality", () => {
    checkSvd(plain, "f64");
    checkQr(plain, "f64");
    checkLu(plain, "f64");
    if (given.eigvalsh) checkEigh(plain, "f64");
    if (given.cholesky_lower) checkCholesky(plain, "f64");
  });
});

test("all 18 cases are there", () => expect(cases.length).toBe(18));
