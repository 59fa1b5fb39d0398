/**
 * Elementwise instructions that nothing else reads, with the one that reads them, as one pass over
 * memory. Chains grow backwards from their last instruction; a value that two members read, as a
 * derivative often does, is computed once within the chain. A copy of what a chain makes to where
 * it is wanted needs no step.
 */
import { chainInputMax, chainStepMax } from "../../native/index.ts";
import { chainOf, isChainOp } from "../chain.ts";
import type { FeedbackLink } from "../record.ts";
import { type Node, type Storage, sameView, type Value } from "../value.ts";
import { isPlain } from "./rewriting.ts";

/** Who touches a storage, by index of the instruction. */
interface Touches {
  readers: number[];
  writers: number[];
  /** Read as something other than an operand, or after the last instruction. */
  elsewhere: boolean;
}

export function fuseElementwise(
  nodes: readonly Node[],
  feedbacks: readonly FeedbackLink[],
): Node[] {
  if (nodes.filter(isStep).length < 2) return [...nodes];
  const touches = touchesOf(nodes, feedbacks);
  const replaced = new Map<number, Node | null>();
  for (let last = nodes.length - 1; last > 0; last -= 1) {
    if (replaced.has(last) || !isStep(nodes[last]!)) continue;
    const group = new Group(nodes, touches, last);
    group.grow();
    if (group.members.length === 1) continue;
    for (const member of group.members) replaced.set(member, null);
    replaced.set(last, group.chain);
  }
  if (replaced.size === 0) return [...nodes];
  return nodes.flatMap((node, index) => {
    const now = replaced.get(index);
    return now === undefined ? [node] : now ? [now] : [];
  });
}

class Group {
  /** Indices of instructions, rising. */
  members: number[];
  chain: Node;

  constructor(
    readonly nodes: readonly Node[],
    readonly touches: ReadonlyMap<Storage, Touches>,
    readonly last: number,
  ) {
    this.members = [last];
    this.chain = nodes[last]!;
  }

  /** Takes in what makes the operands, the latest first: its readers have had their turn then. */
  grow(): void {
    const candidates = new Set<number>();
    const consider = (index: number): void => {
      for (const { storage } of this.nodes[index]!.inputs) {
        const { writers } = this.touches.get(storage)!;
        const [maker] = writers;
        if (storage.kind !== "arena" || writers.length !== 1 || maker! >= index) continue;
        candidates.add(maker!);
      }
    };
    consider(this.last);
    let inputs = inputsWith([], this.nodes[this.last]!);
    let steps = stepCount(this.nodes[this.last]!);
    while (candidates.size > 0) {
      const next = Math.max(...candidates);
      candidates.delete(next);
      if (!this.#isFree(next) || !this.#canMove(next)) continue;
      const node = this.nodes[next]!;
      const nextInputs = inputsWith(inputs, node);
      const nextSteps = steps + stepCount(node);
      if (nextInputs.length > chainInputMax || nextSteps > chainStepMax) continue;
      [inputs, steps] = [nextInputs, nextSteps];
      this.members.unshift(next);
      consider(next);
    }
    this.#close();
  }

  /** Records the chain; what joined last leaves again where there are too few registers. */
  #close(): void {
    while (this.members.length > 1) {
      const chain = chainOf(this.members.map((index) => this.nodes[index]!));
      if (chain) {
        this.chain = chain;
        return;
      }
      this.members.shift();
    }
  }

  /** Whether only members read the instruction's result, and all of it. */
  #isFree(index: number): boolean {
    const node = this.nodes[index]!;
    if (!isStep(node)) return false;
    const made = node.outputs[0]!;
    const { readers, elsewhere } = this.touches.get(made.storage)!;
    if (elsewhere) return false;
    return readers.every((reader) => {
      if (!this.members.includes(reader)) return false;
      const { inputs } = this.nodes[reader]!;
      return inputs.every((input) => input.storage !== made.storage || sameView(input, made));
    });
  }

  /**
   * Whether what the instruction reads is there, and the same, at the end of the chain, and keeping
   * it until then costs no more memory than keeping the result.
   */
  #canMove(index: number): boolean {
    const node = this.nodes[index]!;
    const target = this.nodes[this.last]!.outputs[0]!;
    let dying = 0;
    for (const input of new Set(node.inputs)) {
      const { writers, readers } = this.touches.get(input.storage)!;
      if (writers.some((writer) => writer > index && writer < this.last)) return false;
      if (input.storage === target.storage && !sameView(input, target)) return false;
      if (input.storage.kind === "arena" && readers.at(-1) === index) {
        dying += input.storage.size;
      }
    }
    const isNear = this.last - index === this.members.length;
    return isNear || dying <= node.outputs[0]!.storage.size;
  }
}

/** What a chain reads once it makes an operand of its own by this instruction. */
function inputsWith(inputs: readonly Value[], { inputs: own, outputs }: Node): Value[] {
  const left = inputs.filter(({ storage }) => storage !== outputs[0]!.storage);
  for (const value of own) {
    if (!left.some((known) => known === value || sameView(known, value))) left.push(value);
  }
  return left;
}

/** A copy into the same dtype is none. */
function stepCount({ op, inputs, outputs }: Node): number {
  return op === "copy" && inputs[0]!.dtype === outputs[0]!.dtype ? 0 : 1;
}

function isStep(node: Node): boolean {
  return isChainOp(node.op) && isPlain(node);
}

function touchesOf(
  nodes: readonly Node[],
  feedbacks: readonly FeedbackLink[],
): Map<Storage, Touches> {
  const touches = new Map<Storage, Touches>();
  const of = ({ storage }: Value): Touches => {
    let known = touches.get(storage);
    if (!known) {
      known = { readers: [], writers: [], elsewhere: false };
      touches.set(storage, known);
    }
    return known;
  };
  nodes.forEach((node, index) => {
    for (const input of node.inputs) of(input).readers.push(index);
    for (const output of node.outputs) of(output).writers.push(index);
    if (node.predicate) of(node.predicate).elsewhere = true;
    for (const { rowScale } of node.inputs) if (rowScale) of(rowScale).elsewhere = true;
  });
  for (const { from } of feedbacks) of(from).elsewhere = true;
  return touches;
}
