/** Leaves out instructions whose results nothing reads. */
import type { FeedbackLink } from "../record.ts";
import type { Node, Storage } from "../value.ts";
import { reads } from "./rewriting.ts";

/** Keeps what writes memory outside the arena, and all that leads there. */
export function dropDead(nodes: readonly Node[], feedbacks: readonly FeedbackLink[]): Node[] {
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
