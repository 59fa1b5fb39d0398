/**
 * Sums of products by labels. Operands are brought to one axis a label (diagonals are views), what
 * only one of them has is summed first, and pairs are multiplied in the cheapest order, each as a
 * batched product of matrices: (batch, left, shared) by (batch, shared, right).
 */
import { BitNetError } from "../errors/index.ts";
import { isFloat, type Value } from "../graph/index.ts";
import { cheapestOrder, type Order } from "./contraction-order.ts";
import { type DType, promote } from "./dtypes.ts";
import { binary, cast } from "./elementwise.ts";
import { matmul } from "./matmul.ts";
import { permute, reshape } from "./movement.ts";
import { reduced } from "./reductions.ts";
import { formatShape, shapeOf, sizeOf } from "./shapes.ts";
import { type Labels, parseSubscripts } from "./subscripts.ts";

/** A value and the label of each of its axes, no label twice. */
export interface Term {
  value: Value;
  labels: Labels;
}

/**
 * Floats in the dtype they have in common, integers in i32.
 * @throws BitNetError `tensor/bad-subscripts`, `tensor/shape-mismatch`, `tensor/bad-shape`
 */
export function einsum(text: string, values: readonly Value[]): Value {
  const { operands, result } = parseSubscripts(
    text,
    values.map(({ dims }) => dims.length),
  );
  const extents = extentsOf(text, operands, values);
  const dtype = dtypeOfProducts(values);
  const terms = values.map((value, at): Term => {
    const term = simplified({ value: cast(value, dtype), labels: operands[at]! }, extents);
    const elsewhere = [...operands.filter((_, other) => other !== at), result].flat();
    return summed(term, new Set(elsewhere));
  });
  const order = cheapestOrder({ operands: terms.map(({ labels }) => labels), result, extents });
  if (order === null) {
    throw new BitNetError(
      "tensor/bad-shape",
      `einsum "${text}": a product of two operands has too many dimensions in any order`,
    );
  }
  return ordered(contracted(order, terms, result), result);
}

/** What products of these are made in. */
export function dtypeOfProducts(values: readonly Value[]): DType {
  const common = values.map(({ dtype }) => dtype as DType).reduce(promote);
  return isFloat(common) ? common : "i32";
}

/** How long the axes of each label are; extents of 1 are repeated. */
function extentsOf(
  text: string,
  operands: readonly Labels[],
  values: readonly Value[],
): Map<string, number> {
  const extents = new Map<string, number>();
  for (const [at, labels] of operands.entries()) {
    const shape = shapeOf(values[at]!);
    for (const [axis, label] of labels.entries()) {
      const known = extents.get(label) ?? 1;
      const own = shape[axis]!;
      const isDiagonal = labels.indexOf(label) !== axis;
      if (own === known || (!isDiagonal && (own === 1 || known === 1))) {
        extents.set(label, own === 1 ? known : own);
        continue;
      }
      throw new BitNetError(
        "tensor/shape-mismatch",
        `einsum "${text}": "${label}" has ${known} elements, but ${own} in axis ${axis} of ` +
          `operand ${at} ${formatShape(shape)}`,
      );
    }
  }
  return extents;
}

/** Diagonals of labels that stand twice; axes of 1 that are longer elsewhere are left out. */
function simplified({ value, labels }: Term, extents: ReadonlyMap<string, number>): Term {
  const shape = shapeOf(value);
  const kept = new Map<string, { extent: number; stride: number }>();
  for (const [axis, label] of labels.entries()) {
    const extent = shape[axis]!;
    if (extent === 1 && extents.get(label) !== 1) continue;
    const stride = (kept.get(label)?.stride ?? 0) + value.strides[axis]!;
    kept.set(label, { extent, stride });
  }
  const axes = [...kept.values()];
  const dims = axes.map(({ extent }) => extent);
  return {
    value: value.view({ dims, strides: axes.map(({ stride }) => stride) }),
    labels: [...kept.keys()],
  };
}

/** Summed over the labels that nobody else wants. */
function summed({ value, labels }: Term, wanted: ReadonlySet<string>): Term {
  const axes = labels.flatMap((label, axis) => (wanted.has(label) ? [] : [axis]));
  if (axes.length === 0) return { value, labels };
  return {
    value: reduced("reduce_sum", value, { axes }),
    labels: labels.filter((label) => wanted.has(label)),
  };
}

function contracted(order: Order, terms: readonly Term[], wanted: Labels): Term {
  if (typeof order === "number") return terms[order]!;
  const [first, second] = order;
  const [left, right] = [leavesOf(first), leavesOf(second)];
  const labelsOf = (leaves: readonly number[]) => leaves.flatMap((leaf) => terms[leaf]!.labels);
  const a = contracted(first, terms, [...wanted, ...labelsOf(right)]);
  const b = contracted(second, terms, [...wanted, ...labelsOf(left)]);
  return multiplied(a, b, new Set(wanted));
}

function leavesOf(order: Order): number[] {
  return typeof order === "number" ? [order] : order.flatMap(leavesOf);
}

/** The product, summed over the labels of both that are not wanted. */
export function multiplied(a: Term, b: Term, wanted: ReadonlySet<string>): Term {
  const both = a.labels.filter((label) => b.labels.includes(label));
  const shared = both.filter((label) => !wanted.has(label));
  const batch = both.filter((label) => wanted.has(label));
  const left = a.labels.filter((label) => !both.includes(label));
  const right = b.labels.filter((label) => !both.includes(label));
  const labels = [...batch, ...left, ...right];
  const first = ordered(a, [...batch, ...left, ...shared]);
  const extentOf = extentsIn(a, b);
  if (shared.length === 0) {
    const columns = reshape(first, [...shapeOf(first), ...right.map(() => 1)]);
    const second = ordered(b, [...batch, ...right]);
    const dims = [...batch.map(extentOf), ...left.map(() => 1), ...right.map(extentOf)];
    return { value: binary("mul", columns, reshape(second, dims)), labels };
  }
  const second = ordered(b, [...batch, ...shared, ...right]);
  const [batchSize, m, k, n] = [batch, left, shared, right].map((group) =>
    sizeOf(group.map(extentOf)),
  ) as [number, number, number, number];
  const product = matmul(reshape(first, [batchSize, m, k]), reshape(second, [batchSize, k, n]));
  return { value: reshape(product, labels.map(extentOf)), labels };
}

function extentsIn(...terms: Term[]): (label: string) => number {
  const extents = new Map<string, number>();
  for (const { value, labels } of terms) {
    for (const [axis, label] of labels.entries()) extents.set(label, shapeOf(value)[axis]!);
  }
  return (label) => extents.get(label)!;
}

/** The value with its axes in the order of these labels. */
export function ordered({ value, labels }: Term, order: Labels): Value {
  return permute(
    value,
    order.map((label) => labels.indexOf(label)),
  );
}
