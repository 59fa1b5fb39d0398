/** Numbers that say something about a matrix: norms, condition, rank. */
import { BitNetError } from "../errors/index.ts";
import { singularValues } from "./factor.ts";
import { checked, extentsOf, type Matrices } from "./matrices.ts";
import { cutoff, type RankOptions } from "./solve.ts";

/**
 * `fro`: root of the sum of squares; `nuc`: sum of singular values; 2 and -2: the largest and the
 * smallest; 1 and -1: the largest and smallest sum of a column's absolute values; `inf` and
 * `-inf`: of a row's.
 */
export type NormKind = "fro" | "nuc" | 2 | -2 | 1 | -1 | "inf" | "-inf";

/**
 * A norm of a matrix; 0 of an empty one.
 * @throws BitNetError `linalg/not-finite`, `linalg/shape-mismatch`, `linalg/invalid-option`
 */
export async function norm(a: Matrices, kind: NormKind = "fro"): Promise<number> {
  checked("norm", a, { single: true });
  if (a.data.length === 0) return 0;
  switch (kind) {
    case "fro":
      return frobenius(a);
    case "nuc":
      return [...(await singularValues(a))].reduce((sum, x) => sum + x, 0);
    case 2:
      return (await singularValues(a))[0]!;
    case -2:
      return (await singularValues(a)).at(-1)!;
    case 1:
      return Math.max(...sums(a, "columns"));
    case -1:
      return Math.min(...sums(a, "columns"));
    case "inf":
      return Math.max(...sums(a, "rows"));
    case "-inf":
      return Math.min(...sums(a, "rows"));
    default:
      throw new BitNetError("linalg/invalid-option", `norm: no norm is called ${String(kind)}`);
  }
}

/**
 * The condition number in the 2-norm: largest by smallest singular value, infinite where that is 0,
 * and 0 of an empty matrix. @throws BitNetError `linalg/not-finite`, `linalg/shape-mismatch`
 */
export async function cond(a: Matrices): Promise<number> {
  checked("cond", a, { single: true });
  const s = await singularValues(a);
  if (s.length === 0) return 0;
  return s.at(-1) === 0 ? Number.POSITIVE_INFINITY : s[0]! / s.at(-1)!;
}

/** Singular values that do not count as zero. @throws BitNetError as `pinv` */
export async function rank(a: Matrices, options: RankOptions = {}): Promise<number> {
  checked("rank", a, { single: true });
  const s = await singularValues(a);
  const least = cutoff(a, s[0] ?? 0, options);
  return s.filter((value) => value > least).length;
}

function frobenius({ data }: Matrices): number {
  let largest = 0;
  for (const x of data) largest = Math.max(largest, Math.abs(x));
  if (largest === 0) return 0;
  let sum = 0;
  for (const x of data) sum += (x / largest) ** 2;
  return largest * Math.sqrt(sum);
}

function sums(a: Matrices, along: "rows" | "columns"): Float64Array {
  const [m, n] = extentsOf(a);
  const result = new Float64Array(along === "rows" ? m : n);
  a.data.forEach((x, at) => {
    const place = along === "rows" ? Math.floor(at / n) : at % n;
    result[place]! += Math.abs(x);
  });
  return result;
}
