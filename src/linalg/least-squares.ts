/**
 * What singular values give where a matrix has no inverse: V diag(1/s) U' without those that count
 * as zero.
 *
 * Source of the gradients: Golub and Pereyra, The differentiation of pseudo-inverses and nonlinear
 * least squares problems whose variables separate (1973). They hold where the rank stays.
 */
import { BitNetError } from "../errors/index.ts";
import { customGradient, type Tensor } from "../tensor/index.ts";
import { type Svd, svd } from "./factor.ts";
import { epsilonOf, extentsOf, matricesOf, systemOf } from "./matrices.ts";

export interface RankOptions {
  /** Singular values up to this share of the largest count as zero; max(m, n) eps by default. */
  tolerance?: number;
}

/**
 * Which singular values of A count, of `s` (..., min(m, n)); bools.
 * @throws BitNetError `linalg/invalid-option`
 */
export function counted(a: Tensor, s: Tensor, { tolerance }: RankOptions = {}): Tensor {
  if (tolerance !== undefined && !(tolerance >= 0)) {
    throw new BitNetError("linalg/invalid-option", `tolerance: want 0 or more, got ${tolerance}`);
  }
  const share = tolerance ?? Math.max(...extentsOf(a)) * epsilonOf(a);
  return s.gt(s.at("...", ":1").mul(share));
}

/** A singular value decomposition with the inverses of the values that count, 0 for the others. */
interface Parts extends Svd {
  inverses: Tensor;
}

function partsOf(a: Tensor, options: RankOptions): Parts & { counts: Tensor } {
  const { u, s, vt } = svd(a);
  const counts = counted(a, s, options);
  const divisor = s.where(counts, 1);
  return { u, s, vt, counts, inverses: counts.to(s.elementDType).div(divisor) };
}

/** V diag(1/s) U' x */
function inverted({ u, vt, inverses }: Parts, x: Tensor): Tensor {
  return vt.transpose().matmul(u.transpose().matmul(x).mul(inverses.unsqueeze(-1)));
}

/** U diag(1/s) V' x */
function invertedBack({ u, vt, inverses }: Parts, x: Tensor): Tensor {
  return u.matmul(vt.matmul(x).mul(inverses.unsqueeze(-1)));
}

/**
 * The pseudo-inverse V diag(1/s) U' (..., n, m); singular values that count as zero are left out.
 * @throws BitNetError `linalg/shape-mismatch`, `linalg/invalid-option`; reading:
 * `linalg/not-finite`
 */
export function pinv(a: Tensor, options: RankOptions = {}): Tensor {
  const matrices = matricesOf("pinv", a);
  const parts = partsOf(matrices, options);
  const p = parts.vt.transpose().mul(parts.inverses.unsqueeze(-2)).matmul(parts.u.transpose());
  return customGradient(p, {
    inputs: [matrices],
    rule: (gradient) => {
      const pt = p.transpose();
      const gt = gradient.transpose();
      const right = gt.matmul(p).matmul(pt);
      const left = pt.matmul(p).matmul(gt);
      return [
        right
          .sub(matrices.matmul(p.matmul(right)))
          .add(left.sub(left.matmul(p).matmul(matrices)))
          .sub(pt.matmul(gradient).matmul(pt)),
      ];
    },
  });
}

export interface LeastSquares {
  /** (..., n, columns), or (n) for one vector. */
  x: Tensor;
  /** How many singular values count; (...), i32. */
  rank: Tensor;
  /** (..., min(m, n)) */
  singularValues: Tensor;
}

/**
 * The X of least norm among those that make |A X - B| least, by singular values; B (..., m,
 * columns), or one vector (m). @throws BitNetError as `pinv`
 */
export function lstsq(a: Tensor, b: Tensor, options: RankOptions = {}): LeastSquares {
  const system = systemOf("lstsq", matricesOf("lstsq", a), b);
  const parts = partsOf(system.a, options);
  const x = inverted(parts, system.b);
  const followed = customGradient(x, {
    inputs: [system.a, system.b],
    rule: (gradient) => leastSquaresGradients(gradient, { ...system, parts, x }),
  });
  return {
    x: system.result(followed),
    rank: parts.counts.sum({ axes: -1 }),
    singularValues: parts.s,
  };
}

/** From the gradient of X to those of A and B. */
function leastSquaresGradients(
  gradient: Tensor,
  { a, b, x, parts }: { a: Tensor; b: Tensor; x: Tensor; parts: Parts },
): Tensor[] {
  const ofB = invertedBack(parts, gradient);
  const outside = b.sub(a.matmul(x)).matmul(inverted(parts, ofB).transpose());
  const unreached = gradient.sub(a.transpose().matmul(ofB));
  const inside = invertedBack(parts, x).matmul(unreached.transpose());
  return [outside.add(inside).sub(ofB.matmul(x.transpose())), ofB];
}
