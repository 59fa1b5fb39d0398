/** Against NumPy 2.4.6 in f64 (test/fixtures/units/linalg.json), ill-conditioned cases included. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  cholesky,
  cond,
  eigenvalues,
  inverse,
  lstsq,
  norm,
  pinv,
  qr,
  rank,
  singularValues,
  slogdet,
  solve,
} from "../../src/linalg/index.ts";
import { allowAlive } from "../leaks.ts";
import { distance, matrixOf } from "./measure.ts";

// Programs of earlier calls are kept.
allowAlive("arena");

interface Case {
  name: string;
  shape: [number, number];
  a: number[][];
  singular_values: number[];
  qr_r_abs_diag: number[];
  frobenius: number;
  nuclear: number;
  rank: number;
  cond_2: number | null;
  det_sign?: number;
  log_abs_det?: number;
  solve_b?: number[];
  solve_x?: number[];
  inverse?: number[][];
  pinv?: number[][];
  lstsq_b?: number[];
  lstsq_x?: number[];
  eigvalsh?: number[] | null;
  cholesky_lower?: number[][] | null;
}

const file = join(import.meta.dir, "..", "fixtures", "units", "linalg.json");
const { cases } = (await Bun.file(file).json()) as { cases: Case[] };

function expectNear(got: ArrayLike<number>, want: readonly number[], limit: number): void {
  expect(got.length).toBe(want.length);
  want.forEach((x, i) => {
    expect(Math.abs(got[i]! - x)).toBeLessThanOrEqual(limit);
  });
}

describe.each(cases)("$name", (given) => {
  const a = matrixOf(given.a.flat(), given.shape);
  const [m, n] = given.shape;
  const largest = given.singular_values[0]!;
  const condition = given.cond_2 ?? 1;

  test("singular values, rank, condition, norms", async () => {
    expectNear(await singularValues(a), given.singular_values, 1e-10 * largest);
    expect(await rank(a)).toBe(given.rank);
    expect(Math.abs((await norm(a)) - given.frobenius)).toBeLessThanOrEqual(1e-12 * largest);
    expect(Math.abs((await norm(a, "nuc")) - given.nuclear)).toBeLessThanOrEqual(1e-10 * largest);
    if (given.cond_2 && condition < 1e12) {
      expect((await cond(a)) / condition).toBeCloseTo(1, 4);
    }
  });

  test("the diagonal of R", async () => {
    const { r } = await qr(a);
    const first = given.qr_r_abs_diag[0]!;
    given.qr_r_abs_diag.forEach((x, i) => {
      if (x <= 1e-10 * first) return;
      expect(Math.abs(Math.abs(r.data[i * n + i]!) - x)).toBeLessThanOrEqual(1e-9 * first);
    });
  });

  if (given.det_sign !== undefined)
    test("determinant", async () => {
      const { sign, logAbsolute } = await slogdet(a);
      if (given.rank < n) return expect(Math.exp(logAbsolute)).toBeLessThan(1e-9 * largest ** n);
      expect(sign).toBe(given.det_sign!);
      const off = logAbsolute - given.log_abs_det!;
      expect(Math.abs(off)).toBeLessThan(1e-12 * condition + 1e-12);
    });

  if (given.solve_x)
    test("solution and inverse", async () => {
      const { data } = await solve(a, matrixOf(given.solve_b!, [n, 1]));
      const bound = Math.max(1, ...given.solve_x!.map(Math.abs));
      expectNear(data, given.solve_x!, 1e-9 * condition * bound);
      const want = matrixOf(given.inverse!.flat(), [n, n]);
      const most = Math.max(...want.data.map(Math.abs));
      expect(distance(await inverse(a), want)).toBeLessThanOrEqual(1e-9 * condition * most);
    });

  if (given.pinv)
    test("pseudo-inverse", async () => {
      const want = matrixOf(given.pinv!.flat(), [n, m]);
      const most = Math.max(...want.data.map(Math.abs));
      expect(distance(await pinv(a), want)).toBeLessThanOrEqual(1e-9 * most);
    });

  if (given.lstsq_x)
    test("least squares", async () => {
      const { x, rank: found } = await lstsq(a, matrixOf(given.lstsq_b!, [m, 1]));
      expectNear(x.data, given.lstsq_x!, 1e-9);
      expect(found).toBe(given.rank);
    });

  if (given.eigvalsh)
    test("symmetric eigenvalues", async () => {
      expectNear(await eigenvalues(a), given.eigvalsh!, 1e-10 * largest);
    });

  if (given.cholesky_lower)
    test("Cholesky factor", async () => {
      const want = matrixOf(given.cholesky_lower!.flat(), [n, n]);
      const limit = 1e-14 * condition * Math.sqrt(largest) + 1e-12;
      expect(distance(await cholesky(a), want)).toBeLessThanOrEqual(limit);
    });
});
