/** Systems of equations with square matrices, and what comes with them: inverses, determinants. */
import { applied, customGradient, einsum, eye, type Tensor } from "../tensor/index.ts";
import { lu } from "./factor.ts";
import { matricesOf, systemOf } from "./matrices.ts";

/**
 * X of A X = B for square A, by LU with partial pivoting; B (..., n, columns), or one vector (n).
 * @throws BitNetError `linalg/shape-mismatch`; reading: `linalg/singular` when a pivot is zero,
 * `linalg/not-finite`
 */
export function solve(a: Tensor, b: Tensor): Tensor {
  const system = systemOf("solve", matricesOf("solve", a, { square: true }), b);
  return system.result(applied("solve", [system.a, system.b])[0]!);
}

export interface TriangularOptions {
  /** Which triangle is read; the lower one by default. */
  lower?: boolean;
  /** The diagonal is taken as 1 and not read. */
  unit?: boolean;
}

/**
 * X of A X = B for lower or upper triangular A; the other triangle is not read.
 * @throws BitNetError `linalg/shape-mismatch`; reading: `linalg/singular` when the diagonal has a
 * zero, `linalg/not-finite`
 */
export function triangularSolve(
  a: Tensor,
  b: Tensor,
  { lower = true, unit = false }: TriangularOptions = {},
): Tensor {
  const square = matricesOf("triangularSolve", a, { square: true });
  const system = systemOf("triangularSolve", square, b);
  const attrs = { lower, unit };
  return system.result(applied("triangular_solve", [system.a, system.b], { attrs })[0]!);
}

/** A^-1. @throws BitNetError as `solve` */
export function inverse(a: Tensor): Tensor {
  const square = matricesOf("inverse", a, { square: true });
  const { elementDType: dtype, shape } = square;
  return solve(square, eye(shape.at(-1)!, { dtype }).expand(...shape));
}

/**
 * The determinant, 1 of an empty matrix; it may overflow where `slogdet` does not. Its gradient
 * needs an invertible matrix.
 * @throws BitNetError `linalg/shape-mismatch`; reading: `linalg/not-finite`
 */
export function det(a: Tensor): Tensor {
  const square = matricesOf("det", a, { square: true });
  const { sign, diagonal } = pivots(square);
  const value = diagonal.prod({ axes: -1 }).mul(sign).add(0);
  return customGradient(value, {
    inputs: [square],
    rule: (gradient) => [scaled(gradient.mul(value), square)],
  });
}

/**
 * The determinant as its sign (0 of a singular matrix) and the logarithm of its absolute value.
 * @throws BitNetError as `det`
 */
export function slogdet(a: Tensor): { sign: Tensor; logAbsolute: Tensor } {
  const square = matricesOf("slogdet", a, { square: true });
  const { sign, diagonal } = pivots(square);
  const signs = diagonal
    .gt(0)
    .to(diagonal.elementDType)
    .sub(diagonal.lt(0).to(diagonal.elementDType));
  const logAbsolute = diagonal.abs().log().sum({ axes: -1 });
  return {
    sign: signs.prod({ axes: -1 }).mul(sign).add(0),
    logAbsolute: customGradient(logAbsolute, {
      inputs: [square],
      rule: (gradient) => [scaled(gradient, square)],
    }),
  };
}

/** A^-T times a number a matrix. */
function scaled(by: Tensor, a: Tensor): Tensor {
  return inverse(a).transpose().mul(by.unsqueeze(-1).unsqueeze(-1));
}

function pivots(a: Tensor): { sign: Tensor; diagonal: Tensor } {
  const { lu: packed, sign } = lu(a);
  return { sign, diagonal: einsum("...ii->...i", packed) };
}
