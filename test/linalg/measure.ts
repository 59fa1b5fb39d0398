/** Small plain matrices for tests of linear algebra, and how far a result is off. */
import { type Tensor, tensor } from "../../src/tensor/index.ts";
import { normals } from "../graph/reference.ts";

export type Kind = "f32" | "f64";
export type FloatArray = Float32Array | Float64Array;

/** Matrices of shape (..., m, n), row-major, as plain arrays: what tensors are compared with. */
export interface Matrices<Data extends FloatArray = FloatArray> {
  readonly data: Data;
  readonly shape: readonly number[];
}

/** As a tensor of the array's kind. */
export function tensorOf({ data, shape }: Matrices): Tensor {
  return tensor(data, { shape });
}

/** A computed tensor's elements. */
export function plainOf(x: Tensor): Matrices {
  return { data: x.data() as FloatArray, shape: x.shape };
}

/** 50 times machine epsilon: what residuals may be, times the norm and the size. */
export function tolerance(kind: Kind): number {
  return 50 * (kind === "f32" ? 2 ** -23 : 2 ** -52);
}

export function matrixOf(values: ArrayLike<number>, shape: number[], kind: Kind = "f64"): Matrices {
  return { data: kind === "f32" ? Float32Array.from(values) : Float64Array.from(values), shape };
}

export function random(shape: number[], kind: Kind, seed = 1): Matrices {
  const count = shape.reduce((product, extent) => product * extent, 1);
  return matrixOf(normals(count, seed), shape, kind);
}

/** A' A + n I of a random A: symmetric, positive definite. */
export function definite(n: number, kind: Kind): Matrices {
  const a = random([n, n], "f64");
  const product = multiply(turned(a), a);
  for (let i = 0; i < n; i += 1) product.data[i * n + i]! += n;
  return matrixOf(product.data, [n, n], kind);
}

/** The product in f64. */
export function multiply(a: Matrices, b: Matrices): Matrices<Float64Array> {
  const [m, k] = a.shape as [number, number];
  const n = b.shape[1]!;
  const data = new Float64Array(m * n);
  for (let i = 0; i < m; i += 1) {
    for (let at = 0; at < k; at += 1) {
      const x = a.data[i * k + at]!;
      for (let j = 0; j < n; j += 1) data[i * n + j]! += x * b.data[at * n + j]!;
    }
  }
  return { data, shape: [m, n] };
}

export function turned({ data, shape }: Matrices): Matrices<Float64Array> {
  const [m, n] = shape as [number, number];
  const values = Float64Array.from(data, (_, at) => data[(at % m) * n + Math.floor(at / m)]!);
  return { data: values, shape: [n, m] };
}

export function diagonal(values: FloatArray, m: number, n: number): Matrices<Float64Array> {
  const data = new Float64Array(m * n);
  values.forEach((x, i) => {
    data[i * n + i] = x;
  });
  return { data, shape: [m, n] };
}

/** The largest difference of two matrices' elements. */
export function distance(a: Matrices, b: Matrices): number {
  let worst = 0;
  a.data.forEach((x, at) => {
    const difference = Math.abs(x - b.data[at]!);
    if (!(difference <= worst)) worst = difference;
  });
  return worst;
}

/** How far columns are from orthonormal. */
export function skew(q: Matrices): number {
  const width = q.shape[1]!;
  return distance(multiply(turned(q), q), diagonal(new Float64Array(width).fill(1), width, width));
}

/** Root of the sum of squares: at least the 2-norm. */
export function size({ data }: Matrices): number {
  return Math.hypot(...data);
}

/** Matrix `index` of a batch. */
export function oneOf({ data, shape }: Matrices, index: number): Matrices {
  const [m, n] = shape.slice(-2) as [number, number];
  return { data: data.subarray(index * m * n, (index + 1) * m * n), shape: [m, n] };
}
