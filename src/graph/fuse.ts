/**
 * Passes over the recorded instructions. Each rewrites a pattern into one instruction that gives
 * the same bits: a norm with the quantization after it, a ternary product with the residual added
 * to it. `dropDead` leaves out what nothing reads.
 */
import { sameDims } from "./dims.ts";
import type { FeedbackLink } from "./record.ts";
import type { Node, Storage, Value } from "./value.ts";

/** All passes, in order. */
export function optimize(nodes: readonly Node[], feedbacks: readonly FeedbackLink[]): Node[] {
  let current = dropDead(nodes, feedbacks);
  current = fuseNormQuantize(current, feedbacks);
  current = fuseResidual(current, feedbacks);
  return current;
}

/** Keeps what writes memory outside the arena, and all that leads there. */
function dropDead(nodes: readonly Node[], feedbacks: readonly FeedbackLink[]): Node[] {
  const wanted = new Set<Storage>(feedbacks.map((link) => link.from.storage));
  const kept: Node[] = [];
  for (const node of [...nodes].reverse()) {
    const effect = node.outputs.some(({ storage }) => storage.kind !== "arena");
    if (!effect && !node.outputs.some(({ storage }) => wanted.has(storage))) continue;
    for (const value of reads(node)) wanted.add(value.storage);
    kept.push(node);
  }
  return kept.reverse();
}

/** rms_norm, then quantize_rows to i8 as its only reader. */
function fuseNormQuantize(nodes: Node[], feedbacks: readonly FeedbackLink[]): Node[] {
  const readers = countReaders(nodes, feedbacks);
  const norms = new Map<Storage, Node>();
  for (const node of nodes) {
    const y = node.outputs[0]!;
    const free = y.storage.kind === "arena" && readers.get(y.storage) === 1;
    if (node.op === "rms_norm" && free && isPlain(node)) norms.set(y.storage, node);
  }
  return rewrite(nodes, (node, dropped) => {
    if (node.op !== "quantize_rows" || node.attrs.levels !== 127) return node;
    const norm = norms.get(node.inputs[0]!.storage);
    if (!norm || !sameView(node.inputs[0]!, norm.outputs[0]!)) return node;
    if (!canMove(nodes, norm, node)) return node;
    dropped.add(norm);
    return { ...node, op: "rms_norm_quantize", inputs: norm.inputs, attrs: norm.attrs };
  });
}

/** ternary_matmul, then add with something of the same shape as its only reader. */
function fuseResidual(nodes: Node[], feedbacks: readonly FeedbackLink[]): Node[] {
  const readers = countReaders(nodes, feedbacks);
  const products = new Map<Storage, Node>();
  const order = new Map(nodes.map((node, index) => [node, index]));
  const madeAt = new Map<Storage, number>();
  nodes.forEach((node, index) => {
    for (const { storage } of node.outputs) madeAt.set(storage, index);
    const y = node.outputs[0]!;
    const free = y.storage.kind === "arena" && readers.get(y.storage) === 1;
    const single = node.attrs.has_residual !== 1 && isPlain(node);
    if (node.op === "ternary_matmul" && free && single) products.set(y.storage, node);
  });
  return rewrite(nodes, (node, dropped) => {
    if (node.op !== "add" || !isPlain(node)) return node;
    for (const [product, residual] of [
      [node.inputs[1]!, node.inputs[0]!],
      [node.inputs[0]!, node.inputs[1]!],
    ] as const) {
      const matmul = products.get(product.storage);
      if (!matmul || !sameView(product, matmul.outputs[0]!)) continue;
      // The residual must be there, and still the same, when the product is made.
      if (residual.storage.kind !== "arena" || !rowsOf(residual)) continue;
      if (residual.storage === node.outputs[0]!.storage) continue;
      if ((madeAt.get(residual.storage) ?? -1) > order.get(matmul)!) continue;
      if (!canMove(nodes, matmul, node)) continue;
      dropped.add(matmul);
      return {
        ...matmul,
        inputs: [...matmul.inputs, residual],
        outputs: node.outputs,
        attrs: { ...matmul.attrs, has_residual: 1 },
      };
    }
    return node;
  });
}

/** Rewritten nodes stand where the second of the fused pair stood. */
function rewrite(nodes: Node[], each: (node: Node, dropped: Set<Node>) => Node): Node[] {
  const dropped = new Set<Node>();
  const rewritten = nodes.map((node) => ({ node, now: each(node, dropped) }));
  return rewritten.filter(({ node }) => !dropped.has(node)).map(({ now }) => now);
}

/** Neither conditional nor an effect of its own. */
function isPlain(node: Node): boolean {
  return !node.predicate && !node.commit;
}

/**
 * Whether `first` may be done in the place of `second`: nothing up to there, and not `second`'s
 * own output, changes what it reads.
 */
function canMove(nodes: readonly Node[], first: Node, second: Node): boolean {
  const read = new Set(reads(first).map(({ storage }) => storage));
  const between = nodes.slice(nodes.indexOf(first) + 1, nodes.indexOf(second) + 1);
  return between.every(({ outputs }) => outputs.every(({ storage }) => !read.has(storage)));
}

function countReaders(
  nodes: readonly Node[],
  feedbacks: readonly FeedbackLink[],
): Map<Storage, number> {
  const readers = new Map<Storage, number>();
  const count = ({ storage }: Value): void => {
    readers.set(storage, (readers.get(storage) ?? 0) + 1);
  };
  for (const node of nodes) reads(node).forEach(count);
  for (const { from } of feedbacks) count(from);
  return readers;
}

/** All values that an instruction reads. */
export function reads(node: Node): Value[] {
  const values = node.predicate ? [...node.inputs, node.predicate] : [...node.inputs];
  for (const { rowScale } of node.inputs) if (rowScale) values.push(rowScale);
  return values;
}

function sameView(a: Value, b: Value): boolean {
  return (
    a.storage === b.storage &&
    a.offset === b.offset &&
    a.dtype === b.dtype &&
    sameDims(a.dims, b.dims) &&
    a.strides.every((stride, axis) => stride === b.strides[axis])
  );
}

function rowsOf(value: Value): boolean {
  return value.dims.length === 2 && value.strides[1] === 1 && value.strides[0]! >= 0;
}
