/**
 * From a recorded graph to a plan of a Program: passes, places in the arena, barriers, the regions
 * and sizes that a run gives, and the order in which feedbacks are copied.
 */
import type { Sym } from "./dims.ts";
import type { Encodable } from "./encode.ts";
import { memoryOf, type ProgramMemory } from "./memory.ts";
import { optimize } from "./passes/optimize.ts";
import { reads } from "./passes/rewriting.ts";
import { type ArenaPlan, byteRange, planArena, planSteps, type Step } from "./plan.ts";
import type { FeedbackLink, Recorded } from "./record.ts";
import type { Node, Value } from "./value.ts";

export interface CompileOptions {
  /**
   * True computes cheap values again rather than keeping them for long, where that lowers the
   * planned peak: in gradients of many layers, above all. Up to half as much work again.
   */
  rematerialize?: boolean;
  /** False places every value in memory of its own, for inspection. */
  reuseMemory?: boolean;
  /** False leaves the recorded instructions as they are. */
  fuse?: boolean;
}

/** All that a Program is made of, and what it takes. */
export interface ProgramPlan extends Encodable {
  memory: ProgramMemory;
}

export function planGraph(graph: Recorded, options: CompileOptions = {}): ProgramPlan {
  const { nodes, arena } = placed(graph, options);
  const steps = planSteps(nodes, arena);
  const storages = [...graph.storages.values()];
  return {
    steps,
    arena,
    feedbacks: orderFeedbacks(graph.feedbacks),
    storages,
    memory: memoryOf(arena, storages),
    syms: collectSyms(steps, graph),
  };
}

/** The instructions after all passes, and their values' places. */
function placed(graph: Recorded, options: CompileOptions): { nodes: Node[]; arena: ArenaPlan } {
  const { reuseMemory = true, fuse = true, rematerialize = false } = options;
  const place = (again: boolean): { nodes: Node[]; arena: ArenaPlan } => {
    const { nodes: recorded, feedbacks } = graph;
    const nodes = fuse ? optimize(recorded, feedbacks, { rematerialize: again }) : [...recorded];
    return { nodes, arena: planArena(nodes, feedbacks, reuseMemory) };
  };
  const plain = place(false);
  if (!rematerialize) return plain;
  const other = place(true);
  return other.arena.size < plain.arena.size ? other : plain;
}

function collectSyms(steps: readonly Step[], graph: Recorded): Sym[] {
  const syms = new Set<Sym>();
  const values = steps.flatMap(({ node }) => [...reads(node), ...node.outputs]);
  for (const { from, to } of graph.feedbacks) values.push(from, to);
  for (const value of values) {
    for (const dim of value.dims) if (typeof dim !== "number") syms.add(dim.sym);
  }
  return [...syms];
}

/** Copied one after the other, as if all at once: what is read is read before it is overwritten. */
function orderFeedbacks(feedbacks: readonly FeedbackLink[]): FeedbackLink[] {
  const left = [...feedbacks];
  const ordered: FeedbackLink[] = [];
  while (left.length > 0) {
    const free = left.findIndex((link) => left.every((other) => !meets(other.from, link.to)));
    if (free < 0) throw new Error("feedbacks need each other's place: copy one of them first");
    ordered.push(...left.splice(free, 1));
  }
  return ordered;
}

function meets(a: Value, b: Value): boolean {
  if (a.storage !== b.storage) return false;
  const [first, second] = [byteRange(a), byteRange(b)];
  return first.start < second.end && second.start < first.end;
}
