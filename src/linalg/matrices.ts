/** What the functions take: tensors whose last two axes are matrices, those before a batch. */
import { BitNetError } from "../errors/index.ts";
import { broadcastShapes, type Shape, type Tensor } from "../tensor/index.ts";

/** Extents up to which work is planned. */
const extentMax = 2 ** 20;

/**
 * The tensor in a dtype that decompositions compute in: f64, and f32 for all others.
 * @throws BitNetError `linalg/shape-mismatch` unless it is a matrix or a batch of them
 */
export function matricesOf(what: string, a: Tensor, { square = false } = {}): Tensor {
  const [m, n] = extentsOf(a);
  if (a.rank < 2) throw mismatch(`${what}: a matrix or a batch of them, got ${told(a)}`);
  if (square && m !== n) throw mismatch(`${what}: square matrices, got ${told(a)}`);
  if (Math.max(m, n) > extentMax) {
    throw mismatch(`${what}: at most ${extentMax} rows and columns, got ${told(a)}`);
  }
  return a.dtype === "f32" || a.dtype === "f64" ? a : a.to("f32");
}

/** Matrices and what stands on the right of their equations, in one dtype and batch. */
export interface System {
  a: Tensor;
  b: Tensor;
  /** What is solved, in the shape that was asked for. */
  result: (x: Tensor) => Tensor;
}

/**
 * A X = B for A (..., m, n) and B (..., m, columns), or one vector (m); batches broadcast.
 * @throws BitNetError `linalg/shape-mismatch`, `tensor/shape-mismatch` for batches
 */
export function systemOf(what: string, left: Tensor, right: Tensor): System {
  const isVector = right.rank === 1;
  let a = left;
  let b = matricesOf(what, isVector ? right.unsqueeze(-1) : right);
  if (b.shape.at(-2) !== a.shape.at(-2)) {
    throw mismatch(
      `${what}: right-hand sides (..., ${a.shape.at(-2)}, columns) for ${told(left)}, ` +
        `got ${told(right)}`,
    );
  }
  if (a.dtype !== b.dtype) [a, b] = [a.to("f64"), b.to("f64")];
  const [own, others] = [batchOf(a), batchOf(b)];
  if (own.length === 0 && others.length > 0) return sideBySide(a, b);
  if (!sameShape(own, others)) {
    const batch = broadcastShapes(own, others);
    a = a.expand(...batch, ...a.shape.slice(-2));
    b = b.expand(...batch, ...b.shape.slice(-2));
  }
  return { a, b, result: isVector ? (x) => x.squeeze(-1) : (x) => x };
}

/** One matrix and many right-hand sides: columns side by side, so that it is factored once. */
function sideBySide(a: Tensor, b: Tensor): System {
  const [m, columns] = extentsOf(b);
  const batch = batchOf(b);
  const axes = batch.map((_, axis) => axis);
  const count = batch.reduce((product, extent) => product * extent, columns);
  const turned = b.permute(batch.length, ...axes, batch.length + 1).reshape(m, count);
  return {
    a,
    b: turned,
    result: (x) =>
      x
        .reshape(x.shape[0]!, ...batch, columns)
        .permute(...axes.map((axis) => axis + 1), 0, batch.length + 1),
  };
}

/** Rows and columns. */
export function extentsOf({ shape }: Tensor): [m: number, n: number] {
  return shape.slice(-2) as [number, number];
}

/** The extents before rows and columns. */
export function batchOf({ shape }: Tensor): Shape {
  return shape.slice(0, -2);
}

/** Unit roundoff times two, of the dtype. */
export function epsilonOf({ dtype }: Tensor): number {
  return dtype === "f64" ? 2 ** -52 : 2 ** -23;
}

function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

function mismatch(wanted: string): BitNetError {
  return new BitNetError("linalg/shape-mismatch", `want ${wanted}`);
}

function told({ shape }: Tensor): string {
  return `(${shape.join(", ")})`;
}
