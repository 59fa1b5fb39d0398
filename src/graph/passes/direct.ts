/**
 * A copy of what an instruction has just made, as a whole, to memory outside the arena: the
 * instruction writes there at once, and everybody else reads it there.
 */
import type { FeedbackLink } from "../record.ts";
import { type Node, type Storage, sameView, Value } from "../value.ts";
import { isPlain, reads } from "./rewriting.ts";

export function writeDirectly(nodes: readonly Node[], feedbacks: readonly FeedbackLink[]): Node[] {
  if (!nodes.some(({ op }) => op === "copy")) return [...nodes];
  const touches = new Map<Storage, number[]>();
  const writers = new Map<Storage, number[]>();
  nodes.forEach((node, index) => {
    for (const { storage } of node.outputs) push(writers, storage, index);
    for (const { storage } of [...reads(node), ...node.outputs]) push(touches, storage, index);
  });
  const kept = new Set(feedbacks.flatMap(({ from, to }) => [from.storage, to.storage]));
  const instead = new Map<Storage, Value>();
  const dropped = new Set<Node>();
  nodes.forEach((node, index) => {
    const [from, to] = [node.inputs[0]!, node.outputs[0]!];
    if (node.op !== "copy" || !isPlain(node) || from.dtype !== to.dtype) return;
    if (from.storage.kind !== "arena" || kept.has(from.storage) || instead.has(from.storage))
      return;
    const [maker, ...others] = writers.get(from.storage) ?? [];
    if (maker === undefined || others.length > 0 || !isPlain(nodes[maker]!)) return;
    const made = nodes[maker]!.outputs.find(({ storage }) => storage === from.storage)!;
    if (!sameView(made, from) || !isAlike(made, to) || kept.has(to.storage)) return;
    const last = Math.max(...touches.get(from.storage)!);
    // Until the value's last reader the target is its own.
    const isFree = touches.get(to.storage)!.every((at) => at === index || at < maker || at > last);
    if (!isFree || writers.get(to.storage)!.some((at) => at === maker)) return;
    instead.set(from.storage, to);
    // What touched the value touches the target now.
    touches.get(to.storage)!.push(...touches.get(from.storage)!);
    push(writers, to.storage, maker);
    dropped.add(node);
  });
  if (dropped.size === 0) return [...nodes];
  return nodes.filter((node) => !dropped.has(node)).map((node) => moved(node, instead));
}

function push(into: Map<Storage, number[]>, storage: Storage, index: number): void {
  const list = into.get(storage);
  if (list) list.push(index);
  else into.set(storage, [index]);
}

/** Whether both lie in memory the same way, so that views of one are views of the other. */
function isAlike(a: Value, b: Value): boolean {
  return b.layout === "strided" && a.strides.every((stride, axis) => stride === b.strides[axis]);
}

/** The instruction with values of other storages, at the same places within them. */
function moved(node: Node, instead: ReadonlyMap<Storage, Value>): Node {
  const at = (value: Value): Value => {
    const target = instead.get(value.storage);
    const rowScale = value.rowScale && at(value.rowScale);
    if (!target && rowScale === value.rowScale) return value;
    const { dtype, layout, dims, strides } = value;
    const storage = target?.storage ?? value.storage;
    const offset = value.offset + (target?.offset ?? 0);
    return new Value({ storage, dtype, layout, dims, strides, offset, rowScale });
  };
  const { predicate } = node;
  return {
    ...node,
    inputs: node.inputs.map(at),
    outputs: node.outputs.map(at),
    ...(predicate && { predicate: at(predicate) }),
  };
}
