/** A norm and the quantization after it as one instruction. */
import type { FeedbackLink } from "../record.ts";
import { type Node, type Storage, sameView } from "../value.ts";
import { canMove, countReaders, isPlain, rewrite } from "./rewriting.ts";

/** rms_norm, then quantize_rows to i8 as its only reader. */
export function fuseNormQuantize(nodes: Node[], feedbacks: readonly FeedbackLink[]): Node[] {
  if (!nodes.some(({ op }) => op === "quantize_rows")) return nodes;
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
