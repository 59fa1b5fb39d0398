/** What passes ask of recorded instructions, and how they put others in their place. */
import type { FeedbackLink } from "../record.ts";
import { type Node, type Storage, Value } from "../value.ts";

/** Rewritten nodes stand where the second of the fused pair stood. */
export function rewrite(nodes: Node[], each: (node: Node, dropped: Set<Node>) => Node): Node[] {
  const dropped = new Set<Node>();
  const rewritten = nodes.map((node) => ({ node, now: each(node, dropped) }));
  return rewritten.filter(({ node }) => !dropped.has(node)).map(({ now }) => now);
}

/** Neither conditional nor an effect of its own. */
export function isPlain(node: Node): boolean {
  return !node.predicate && !node.commit;
}

/**
 * Whether `first` may be done in the place of `second`: nothing up to there, and not `second`'s
 * own output, changes what it reads.
 */
export function canMove(nodes: readonly Node[], first: Node, second: Node): boolean {
  const read = new Set(reads(first).map(({ storage }) => storage));
  const between = nodes.slice(nodes.indexOf(first) + 1, nodes.indexOf(second) + 1);
  return between.every(({ outputs }) => outputs.every(({ storage }) => !read.has(storage)));
}

export function countReaders(
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

/** The instruction, reading other storages in place of some; views stay as they are. */
export function readingInstead(node: Node, instead: ReadonlyMap<Storage, Storage>): Node {
  const from = (value: Value): Value => {
    const storage = instead.get(value.storage) ?? value.storage;
    const rowScale = value.rowScale && from(value.rowScale);
    if (storage === value.storage && rowScale === value.rowScale) return value;
    const { dtype, layout, dims, strides, offset } = value;
    return new Value({ storage, dtype, layout, dims, strides, offset, rowScale });
  };
  const { predicate } = node;
  return {
    ...node,
    inputs: node.inputs.map(from),
    ...(predicate && { predicate: from(predicate) }),
  };
}
