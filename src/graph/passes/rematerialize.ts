/**
 * Values that are cheap to make again and wait long for their next reader are dropped, and computed
 * once more just before it: in gradients, what the forward part leaves to the backward part. Each
 * turn looks where most memory is in use, and drops the value there that costs least for its size,
 * or several that one value they are made of stands for. The bits are the same; the work grows by
 * half at most.
 */
import { isChainOp } from "../chain.ts";
import { workOf } from "../ops.ts";
import type { FeedbackLink } from "../record.ts";
import { type Node, type Storage, Value } from "../value.ts";
import { fuseElementwise } from "./elementwise.ts";
import { isPlain, readingInstead, reads } from "./rewriting.ts";

/** Further work, as a share of all, and instructions repeated for one value. */
const workShareMax = 0.5;
const repeatsMax = 8;

/** Where a storage is written and read, by index of the instruction, rising. */
interface Life {
  writes: number[];
  reads: number[];
}

/** A value to drop, and what makes it again before the instruction at `before`. */
interface Drop {
  storage: Storage;
  before: number;
  repeats: readonly Node[];
}

/** Values to drop together, and the bytes that this saves while most memory is in use. */
interface Candidate {
  drops: Drop[];
  gain: number;
  work: number;
}

export function rematerialize(nodes: readonly Node[], feedbacks: readonly FeedbackLink[]): Node[] {
  const kept = new Set(feedbacks.map(({ from }) => from.storage));
  const fused = fusedValues(nodes, feedbacks);
  let current = [...nodes];
  let workLeft = workShareMax * nodes.reduce((sum, node) => sum + workOf(node), 0);
  for (let turn = 0; turn < 2 * nodes.length; turn += 1) {
    const uses = new Uses(current, fused);
    const best = uses.candidates(kept).reduce<Candidate | undefined>(cheaper, undefined);
    if (!best || best.work > workLeft) break;
    // The last ones first: what stands before them keeps its index.
    const drops = best.drops.toSorted((a, b) => b.before - a.before);
    const next = drops.reduce(repeated, current);
    if (new Uses(next, fused).peak > uses.peak) {
      for (const { storage } of drops) kept.add(storage);
      continue;
    }
    workLeft -= best.work;
    current = next;
  }
  return current;
}

/** Values that chains keep in registers: they need no memory. */
function fusedValues(nodes: readonly Node[], feedbacks: readonly FeedbackLink[]): Set<Storage> {
  const left = fuseElementwise(nodes, feedbacks).flatMap((node) => node.outputs);
  const real = new Set(left.map(({ storage }) => storage));
  const all = nodes.flatMap(({ outputs }) => outputs.map(({ storage }) => storage));
  return new Set(all.filter((storage) => !real.has(storage)));
}

function cheaper(best: Candidate | undefined, other: Candidate): Candidate {
  if (!best) return other;
  return other.work * best.gain < best.work * other.gain ? other : best;
}

/** Lives of all values in a list of instructions, and the memory in use at each. */
class Uses {
  readonly #lives = new Map<Storage, Life>();
  /** Where most memory is in use, and how much. */
  readonly at: number;
  readonly peak: number;

  constructor(
    readonly nodes: readonly Node[],
    readonly fused: ReadonlySet<Storage>,
  ) {
    nodes.forEach((node, index) => {
      for (const { storage } of reads(node)) this.#life(storage).reads.push(index);
      for (const { storage } of node.outputs) this.#life(storage).writes.push(index);
    });
    const change = new Float64Array(nodes.length + 1);
    for (const [storage, { writes, reads: readAt }] of this.#lives) {
      if (storage.kind !== "arena" || fused.has(storage)) continue;
      change[writes[0] ?? 0]! += storage.size;
      change[Math.max(writes.at(-1) ?? 0, readAt.at(-1) ?? 0) + 1]! -= storage.size;
    }
    let use = 0;
    let peak = 0;
    let at = 0;
    nodes.forEach((_, index) => {
      use += change[index]!;
      if (use > peak) [peak, at] = [use, index];
    });
    this.peak = peak;
    this.at = at;
  }

  /** Values that wait while most memory is in use, and that cheap instructions can make again. */
  candidates(kept: ReadonlySet<Storage>): Candidate[] {
    const found: Candidate[] = [];
    const sharing = new Map<Storage, Candidate>();
    for (const [storage, { writes, reads: readAt }] of this.#lives) {
      if (storage.kind !== "arena" || kept.has(storage) || this.fused.has(storage)) continue;
      if (writes[0]! >= this.at) continue;
      const before = readAt.find((index) => index >= this.at);
      if (before === undefined || before === this.at) continue;
      const repeats: Node[] = [];
      if (this.#collect(storage, before, repeats)) {
        const work = repeats.reduce((sum, node) => sum + workOf(node), 0);
        found.push({ drops: [{ storage, before, repeats }], gain: storage.size, work });
      } else {
        this.#share({ storage, before, repeats: [this.nodes[writes[0]!]!] }, sharing);
      }
    }
    return [...found, ...[...sharing.values()].filter(({ gain }) => gain > 0)];
  }

  /** Adds a value to those that could be made again if one operand of theirs were kept instead. */
  #share(drop: Drop, sharing: Map<Storage, Candidate>): void {
    const [node] = drop.repeats;
    if (!isRepeatable(node!) || this.#life(drop.storage).writes.length !== 1) return;
    const at = this.#life(drop.storage).writes[0]!;
    const gone = new Set<Storage>();
    for (const { storage } of reads(node!)) {
      const life = this.#life(storage);
      if (storage.kind !== "arena") {
        if (changes(life, at, drop.before)) return;
      } else if (life.writes.length !== 1) {
        return;
      } else if (life.reads.at(-1)! < drop.before) {
        gone.add(storage);
      }
    }
    const [operand, ...others] = gone;
    if (!operand || others.length > 0 || this.fused.has(operand)) return;
    if (this.#life(operand).reads.at(-1)! >= this.at) return;
    const candidate = sharing.get(operand) ?? { drops: [], gain: -operand.size, work: 0 };
    candidate.drops.push(drop);
    candidate.gain += drop.storage.size;
    candidate.work += workOf(node!);
    sharing.set(operand, candidate);
  }

  /** Adds, in order, what makes the storage of values that are there before an instruction. */
  #collect(storage: Storage, before: number, into: Node[]): boolean {
    const { writes } = this.#life(storage);
    const node = this.nodes[writes[0]!];
    if (!node || writes.length !== 1 || !isRepeatable(node)) return false;
    if (into.includes(node)) return true;
    for (const input of reads(node)) {
      const life = this.#life(input.storage);
      const isArena = input.storage.kind === "arena";
      if (isArena ? life.writes.length !== 1 : changes(life, writes[0]!, before)) return false;
      const isThere = !isArena || life.reads.at(-1)! >= before;
      if (!isThere && !this.#collect(input.storage, before, into)) return false;
    }
    into.push(node);
    return into.length <= repeatsMax;
  }

  #life(storage: Storage): Life {
    let life = this.#lives.get(storage);
    if (!life) {
      life = { writes: [], reads: [] };
      this.#lives.set(storage, life);
    }
    return life;
  }
}

function isRepeatable(node: Node): boolean {
  return isChainOp(node.op) && isPlain(node);
}

/** Whether something is written after one instruction and before another. */
function changes({ writes }: Life, after: number, before: number): boolean {
  return writes.some((index) => index > after && index < before);
}

/** The instructions with those repeated before the reader; it and all later ones read the new. */
function repeated(nodes: Node[], { before, repeats }: Drop): Node[] {
  const instead = new Map<Storage, Storage>();
  const made = repeats.map((node) => {
    const again: Node = { ...readingInstead(node, instead), outputs: [] };
    again.outputs = node.outputs.map(({ storage, dtype, dims }) => {
      const { kind, name, size } = storage;
      const own: Storage = { kind, name, size };
      instead.set(storage, own);
      return new Value({ storage: own, dtype, dims });
    });
    return again;
  });
  const later = nodes.slice(before).map((node) => readingInstead(node, instead));
  return [...nodes.slice(0, before), ...made, ...later];
}
