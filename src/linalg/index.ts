/** Linear algebra on dense matrices, f32 and f64: products, decompositions, systems, norms. */
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
export { type FloatArray, type Matrices, matrices, transposed } from "./matrices.ts";
export { cond, type NormKind, norm, rank } from "./measures.ts";
export {
  det,
  inverse,
  type LeastSquares,
  lstsq,
  matmul,
  pinv,
  type RankOptions,
  slogdet,
  solve,
  triangularSolve,
} from "./solve.ts";
