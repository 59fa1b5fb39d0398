/**
 * Linear algebra on tensors whose last two axes are matrices, in f32 and f64: decompositions,
 * systems, norms. Products are the tensors' own: `matmul`, `einsum`.
 */
export {
  cholesky,
  type Eigh,
  eigenvalues,
  eigh,
  type Lu,
  lu,
  type Qr,
  qr,
  type Svd,
  singularValues,
  svd,
} from "./factor.ts";
export { type LeastSquares, lstsq, pinv, type RankOptions } from "./least-squares.ts";
export { cond, type NormKind, norm, rank } from "./measures.ts";
export {
  det,
  inverse,
  slogdet,
  solve,
  type TriangularOptions,
  triangularSolve,
} from "./solve.ts";
