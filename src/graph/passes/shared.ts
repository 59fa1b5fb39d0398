/**
 * What is computed twice of the same operands is computed once. Only values that are written once,
 * of operands that do not change while the instructions run.
 */
import { formatDims } from "../dims.ts";
import type { FeedbackLink } from "../record.ts";
import type { Node, Storage, Value } from "../value.ts";
import { isPlain, readingInstead, reads } from "./rewriting.ts";

export function shareEqual(nodes: readonly Node[], feedbacks: readonly FeedbackLink[]): Node[] {
  if (nodes.length < 2) return [...nodes];
  const writes = new Map<Storage, number>();
  for (const { outputs } of nodes) {
    for (const { storage } of outputs) writes.set(storage, (writes.get(storage) ?? 0) + 1);
  }
  // After a step something else writes there.
  for (const { to } of feedbacks) writes.set(to.storage, 2);
  const ids = new Map<Storage, number>();
  const idOf = (storage: Storage): number => {
    const id = ids.get(storage) ?? ids.size;
    ids.set(storage, id);
    return id;
  };
  const kept = new Map<string, Node>();
  const instead = new Map<Storage, Storage>();
  const current: Node[] = [];
  for (const node of nodes) {
    const now = instead.size > 0 ? readingInstead(node, instead) : node;
    if (!isShareable(now, writes)) {
      current.push(now);
      continue;
    }
    const key = keyOf(now, idOf);
    const earlier = kept.get(key);
    if (earlier && keepsNothing(now, feedbacks)) {
      now.outputs.forEach(({ storage }, index) => {
        instead.set(storage, earlier.outputs[index]!.storage);
      });
      continue;
    }
    kept.set(key, earlier ?? now);
    current.push(now);
  }
  return current;
}

function isShareable(node: Node, writes: ReadonlyMap<Storage, number>): boolean {
  const isFixed = ({ storage }: Value): boolean =>
    (writes.get(storage) ?? 0) <= (storage.kind === "arena" ? 1 : 0);
  return (
    isPlain(node) &&
    reads(node).every(isFixed) &&
    node.outputs.every(({ storage }) => storage.kind === "arena" && writes.get(storage) === 1)
  );
}

/** Whether nothing outside the instructions asks for the results. */
function keepsNothing({ outputs }: Node, feedbacks: readonly FeedbackLink[]): boolean {
  return outputs.every(({ storage }) => feedbacks.every(({ from }) => from.storage !== storage));
}

function keyOf({ op, inputs, outputs, attrs }: Node, idOf: (storage: Storage) => number): string {
  let key: string = op;
  for (const { storage, dtype, layout, dims, strides, offset, rowScale } of inputs) {
    key += `|${idOf(storage)}${dtype}${layout}${formatDims(dims)}${strides.join()}@${offset}`;
    if (rowScale) key += `*${idOf(rowScale.storage)}@${rowScale.offset}`;
  }
  for (const name in attrs) key += `;${name}=${attrs[name]}`;
  // Some ops leave these to whoever records them.
  for (const { dtype, dims } of outputs) key += `>${dtype}${formatDims(dims)}`;
  return key;
}
