/** Numbers that say something about a matrix, one for each of a batch: norms, condition, rank. */
import { BitNetError } from "../errors/index.ts";
import { customGradient, type Tensor, where, zeros } from "../tensor/index.ts";
import { singularValues } from "./factor.ts";
import { counted, pinv, type RankOptions } from "./least-squares.ts";
import { batchOf, matricesOf } from "./matrices.ts";

/**
 * `fro`: root of the sum of squares; `nuc`: sum of singular values; 2 and -2: the largest and the
 * smallest; 1 and -1: the largest and smallest sum of a column's absolute values; `inf` and
 * `-inf`: of a row's.
 */
export type NormKind = "fro" | "nuc" | 2 | -2 | 1 | -1 | "inf" | "-inf";

/** Those that are made of singular values. */
const spectral: readonly unknown[] = ["fro", "nuc", 2, -2];

/**
 * A norm of each matrix (...); 0 of an empty one. What is not finite goes through as in any sum,
 * but singular values refuse it.
 * @throws BitNetError `linalg/shape-mismatch`, `linalg/invalid-option`; reading:
 * `linalg/not-finite` for "nuc", 2 and -2
 */
export function norm(a: Tensor, kind: NormKind = "fro"): Tensor {
  const matrices = matricesOf("norm", a);
  if (matrices.size === 0) return zeros(batchOf(matrices), { dtype: matrices.elementDType });
  switch (kind) {
    case "fro":
      return frobenius(matrices);
    case "nuc":
    case 2:
    case -2:
      return ofValues(singularValues(matrices), kind);
    case 1:
      return matrices.abs().sum({ axes: -2 }).max({ axes: -1 });
    case -1:
      return matrices.abs().sum({ axes: -2 }).min({ axes: -1 });
    case "inf":
      return matrices.abs().sum({ axes: -1 }).max({ axes: -1 });
    case "-inf":
      return matrices.abs().sum({ axes: -1 }).min({ axes: -1 });
    default:
      throw new BitNetError("linalg/invalid-option", `norm: no norm is called ${String(kind)}`);
  }
}

/**
 * The condition number of each matrix (...), |A| |A^-1| in the norm of this kind, 2 by default:
 * the largest by the smallest singular value then, of any matrix. Infinite where a singular value
 * is 0, and 0 of an empty matrix.
 * @throws BitNetError as `norm`; `linalg/shape-mismatch` for kinds other than 2 and -2 unless the
 * matrices are square; reading: `linalg/not-finite`
 */
export function cond(a: Tensor, kind: NormKind = 2): Tensor {
  const matrices = matricesOf("cond", a, { square: kind !== 2 && kind !== -2 });
  if (matrices.size === 0) return zeros(batchOf(matrices), { dtype: matrices.elementDType });
  const s = singularValues(matrices);
  const smallest = s.at("...", -1);
  const value = spectral.includes(kind)
    ? ofValues(s, kind).mul(ofValues(s.pow(-1).at("...", "::-1"), kind))
    : norm(matrices, kind).mul(norm(pinv(matrices, { tolerance: 0 }), kind));
  return where(smallest.eq(0), Number.POSITIVE_INFINITY, value);
}

/**
 * How many singular values of each matrix do not count as zero: (...), i32.
 * @throws BitNetError as `pinv`
 */
export function rank(a: Tensor, options: RankOptions = {}): Tensor {
  const matrices = matricesOf("rank", a);
  return counted(matrices, singularValues(matrices), options).sum({ axes: -1 });
}

/** A norm that singular values, largest first, say. */
function ofValues(s: Tensor, kind: NormKind): Tensor {
  if (kind === "nuc") return s.sum({ axes: -1 });
  if (kind === "fro") return frobenius(s.unsqueeze(-1));
  return s.at("...", kind === 2 ? 0 : -1);
}

/** Scaled by the largest element, so that no square overflows or vanishes. */
function frobenius(a: Tensor): Tensor {
  const over = { axes: [-2, -1], keepDims: true };
  const largest = a.abs().max(over);
  const isUsual = largest.gt(0).mul(largest.lt(Number.POSITIVE_INFINITY));
  const scale = largest.where(isUsual, 1);
  const length = a.div(scale).pow(2).sum(over).sqrt().mul(scale);
  const value = customGradient(length, {
    inputs: [a],
    rule: (gradient) => [a.mul(gradient.div(length.where(length.gt(0), 1)))],
  });
  return value.squeeze([-2, -1]);
}
