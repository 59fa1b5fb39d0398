/** A ternary product and the residual added to it as one instruction. */
import type { FeedbackLink } from "../record.ts";
import { type Node, type Storage, sameView, type Value } from "../value.ts";
import { canMove, countReaders, isPlain, rewrite } from "./rewriting.ts";

/** ternary_matmul, then add with something of the same shape as its only reader. */
export function fuseResidual(nodes: Node[], feedbacks: readonly FeedbackLink[]): Node[] {
  if (!nodes.some(({ op }) => op === "ternary_matmul")) return nodes;
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

function rowsOf(value: Value): boolean {
  return value.dims.length === 2 && value.strides[1] === 1 && value.strides[0]! >= 0;
}
