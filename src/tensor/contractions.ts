/** Sums of products of tensors: by subscripts, by axes, of vectors. */
import { BitNetError } from "../errors/index.ts";
import * as labelled from "./einsum.ts";
import { formatShape, normalizeAxis } from "./shapes.ts";
import { Tensor } from "./tensor.ts";

/**
 * Sums of products by labelled axes, as NumPy's: `einsum("bij,bjk->bik", a, b)`. Labels that stand
 * twice in an operand take its diagonal, those that the result leaves out are summed, "..." is
 * broadcast. Of several operands the cheapest order of products is taken; integers give i32.
 * @throws BitNetError `tensor/bad-subscripts`, `tensor/shape-mismatch`, `tensor/bad-shape`
 */
export function einsum(subscripts: string, ...operands: Tensor[]): Tensor {
  const values = operands.map((one) => one.value);
  return new Tensor(labelled.einsum(subscripts, values));
}

/** The axes of each operand that are summed, in pairs. */
export type AxisPairs = readonly [readonly number[], readonly number[]];

/**
 * Sums over pairs of axes: the last `axes` of a with the first ones of b, 2 by default, or those
 * listed. What is left of a comes first.
 * @throws BitNetError `tensor/shape-mismatch`, `tensor/axis-out-of-range`
 */
export function tensordot(a: Tensor, b: Tensor, axes: number | AxisPairs = 2): Tensor {
  const [own, others] = typeof axes === "number" ? facing(a.rank, axes) : axes;
  const pairs = own.map((axis, at): [number, number] => [
    normalizeAxis(axis, a.rank),
    normalizeAxis(others[at] ?? Number.NaN, b.rank),
  ]);
  const isSound =
    own.length === others.length &&
    new Set(pairs.map(([axis]) => axis)).size === pairs.length &&
    new Set(pairs.map(([, axis]) => axis)).size === pairs.length &&
    pairs.every(([left, right]) => a.shape[left] === b.shape[right]);
  if (!isSound) {
    throw new BitNetError(
      "tensor/shape-mismatch",
      `tensordot of ${formatShape(a.shape)} and ${formatShape(b.shape)} over ` +
        `${JSON.stringify([own, others])}: want pairs of equal extents, each axis once`,
    );
  }
  const left = a.shape.map((_, axis) => `a${axis}`);
  const right = b.shape.map((_, axis) => {
    const pair = pairs.find(([, other]) => other === axis);
    return pair ? `a${pair[0]}` : `b${axis}`;
  });
  const wanted = [
    ...left.filter((label) => !right.includes(label)),
    ...right.filter((label) => !left.includes(label)),
  ];
  const dtype = labelled.dtypeOfProducts([a.value, b.value]);
  const product = labelled.multiplied(
    { value: a.to(dtype).value, labels: left },
    { value: b.to(dtype).value, labels: right },
    new Set(wanted),
  );
  return new Tensor(labelled.ordered(product, wanted));
}

function facing(rank: number, count: number): AxisPairs {
  const axes = Array.from({ length: count }, (_, axis) => axis);
  return [axes.map((axis) => rank - count + axis), axes];
}

/**
 * NumPy's `dot`: the sum over the last axis of a and the one before the last of b (its only one if
 * it is a vector); with a tensor without dimensions, the product.
 * @throws BitNetError `tensor/shape-mismatch`
 */
export function dot(a: Tensor, b: Tensor): Tensor {
  if (a.rank === 0 || b.rank === 0) return a.mul(b);
  return tensordot(a, b, [[-1], [b.rank === 1 ? 0 : -2]]);
}

/** Every element of a with every one of b, both row by row: (m, n). */
export function outer(a: Tensor, b: Tensor): Tensor {
  return a.reshape(-1, 1).mul(b.reshape(1, -1));
}
