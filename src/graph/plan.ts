/**
 * Where arena values lie and where workers wait. Storages share memory when their lifetimes do not
 * meet. A barrier stands before an instruction that touches what another worker may have touched
 * since the last barrier; serial instructions all run on one worker and order themselves.
 */
import { placeSize } from "../native/index.ts";
import { extentMax } from "./dims.ts";
import { opTable, workOf } from "./ops.ts";
import { reads } from "./passes/rewriting.ts";
import type { FeedbackLink } from "./record.ts";
import { elementSizes, type Node, packedSize, type Storage, type Value } from "./value.ts";

/** Operands between two barriers, a good deal fewer than the core looks through. */
const openMax = 1024;

/** Below this much work a barrier costs more than a second worker saves. */
const serialWorkMax = 24_000;

export interface ArenaPlan {
  offsets: Map<Storage, number>;
  size: number;
}

export interface Step {
  node: Node;
  barrier: boolean;
  serial: boolean;
  /** Simple operations at the largest sizes. */
  work: number;
}

/** Places every arena storage: the largest first, each as low as its neighbours in time allow. */
export function planArena(
  nodes: readonly Node[],
  feedbacks: readonly FeedbackLink[],
  reuse: boolean,
): ArenaPlan {
  const lives = new Map<Storage, { first: number; last: number }>();
  const touch = ({ storage }: Value, at: number): void => {
    if (storage.kind !== "arena") return;
    const life = lives.get(storage);
    if (life) life.last = at;
    else lives.set(storage, { first: at, last: at });
  };
  nodes.forEach((node, at) => {
    for (const value of [...reads(node), ...node.outputs]) touch(value, at);
  });
  for (const { from } of feedbacks) touch(from, nodes.length);

  const placed: { start: number; end: number; first: number; last: number }[] = [];
  const offsets = new Map<Storage, number>();
  let size = 0;
  for (const [storage, life] of [...lives].sort(([a], [b]) => b.size - a.size)) {
    const bytes = placeSize(storage.size);
    let start = 0;
    const neighbours = placed
      .filter((other) => !reuse || (other.first <= life.last && life.first <= other.last))
      .sort((a, b) => a.start - b.start);
    for (const other of neighbours) {
      if (start + bytes <= other.start) break;
      start = Math.max(start, other.end);
    }
    offsets.set(storage, start);
    placed.push({ start, end: start + bytes, ...life });
    size = Math.max(size, start + bytes);
  }
  return { offsets, size };
}

interface Touch {
  storage: Storage | null;
  start: number;
  end: number;
  writes: boolean;
  serial: boolean;
}

/** Decides for each instruction whether it is serial and whether a barrier stands before it. */
export function planSteps(nodes: readonly Node[], arena: ArenaPlan): Step[] {
  let open: Touch[] = [];
  return nodes.map((node) => {
    const rule = opTable[node.op];
    const work = workOf(node);
    const serial = rule.serial === true || work <= serialWorkMax;
    const own = [
      ...reads(node).map((value) => touchOf(value, { arena, serial, writes: false })),
      ...node.outputs.map((value) => touchOf(value, { arena, serial, writes: true })),
    ];
    const barrier =
      open.length + own.length > openMax ||
      own.some((mine) => open.some((earlier) => conflict(mine, earlier)));
    open = barrier ? own : [...open, ...own];
    return { node, barrier, serial, work };
  });
}

function conflict(a: Touch, b: Touch): boolean {
  if (a.serial && b.serial) return false;
  if (!a.writes && !b.writes) return false;
  return a.storage === b.storage && a.start < b.end && b.start < a.end;
}

interface TouchContext {
  arena: ArenaPlan;
  serial: boolean;
  writes: boolean;
}

function touchOf(value: Value, { arena, serial, writes }: TouchContext): Touch {
  const base = arena.offsets.get(value.storage);
  const range = byteRange(value);
  return {
    // All arena storages lie in one region and may overlap each other.
    storage: base === undefined ? value.storage : null,
    start: (base ?? 0) + range.start,
    end: (base ?? 0) + range.end,
    serial,
    writes,
  };
}

/** The bytes within its storage that a value can reach, at the largest sizes. */
export function byteRange(value: Value): { start: number; end: number } {
  const { offset, layout, dims, strides, dtype } = value;
  if (layout !== "strided") {
    const size = packedSize(layout, extentMax(dims[0]!), extentMax(dims[1]!));
    return { start: offset, end: offset + size };
  }
  let start = offset;
  let end = offset + elementSizes[dtype];
  dims.forEach((dim, axis) => {
    const reach = strides[axis]! * (extentMax(dim) - 1) * elementSizes[dtype];
    if (reach < 0) start += reach;
    else end += reach;
  });
  return { start, end };
}
