/**
 * One Program for calls of many sizes. A function is recorded at the largest sizes, and again with
 * each of them one less: extents that follow become symbols. Whether a call of other sizes is the
 * same Program is never taken on trust: its own recording is compared with it, instruction by
 * instruction and element by element of every view.
 */
import { type Dim, extentAt, type Node, type Storage, Sym, Value } from "../graph/index.ts";
import type { Trace } from "./run-trace.ts";
import { samePlace, type Whole } from "./same-place.ts";

/** Sizes by name. */
export type Sizes = Readonly<Record<string, number>>;

/** A function as it was recorded at some sizes. */
export interface SizedTrace {
  trace: Trace;
  /** Which of the leaves are the inputs, in their order. */
  inputs: readonly Storage[];
}

/** What traces of one Program have in common, and all that they read and make, in order. */
interface Outline {
  /** Instructions, attributes, dtypes and what reads what; no extents. */
  key: string;
  values: readonly Value[];
  sums: readonly Sum[];
}

/** An instruction that adds up in an order which may follow how its operands lie. */
interface Sum {
  op: "matmul" | "reduce_sum" | "reduce_product";
  /** How many are reduced. */
  axes: number;
  /** Where its values begin among all. */
  at: number;
}

/** A trace whose extents are symbols where they follow a size. */
export interface GeneralTrace {
  readonly trace: Trace;
  /** Whether the Program of this trace does what the other one does. */
  covers(other: SizedTrace, sizes: Sizes): boolean;
}

/** extent = mul * size + add. */
interface Line {
  name: string;
  mul: number;
  add: number;
}

/**
 * The trace of all sizes up to the largest; undefined where an extent is none of their multiples
 * with something added, or where the function does something else at other sizes.
 */
export function generalize(
  recordAt: (sizes: Sizes) => SizedTrace,
  largest: Sizes,
): GeneralTrace | undefined {
  const whole = recordAt(largest);
  const outline = outlineOf(whole);
  const less = new Map<string, readonly Value[]>();
  for (const [name, max] of Object.entries(largest)) {
    const other = outlineOf(recordAt({ ...largest, [name]: max - 1 }));
    if (other.key !== outline.key) return undefined;
    less.set(name, other.values);
  }
  const extents = outline.values.map(({ dims }, index) =>
    dims.map((extent, axis) => {
      const others = [...less].map(([name, values]) => [name, values[index]!.dims[axis]] as const);
      return lineOf(extent as number, others as [string, number][], largest);
    }),
  );
  if (extents.flat().includes(undefined)) return undefined;
  const syms = symsOf(extents.flat() as (number | Line)[], largest);
  const dimOf = (extent: number | Line | undefined): Dim =>
    typeof extent === "object" ? { ...extent, sym: syms.get(extent.name)! } : extent!;
  const values = new Map(
    outline.values.map((value, index) => [value, withDims(value, extents[index]!.map(dimOf))]),
  );
  const trace = rebuilt(whole.trace, values);
  const general = { ...outline, values: outline.values.map((value) => values.get(value)!) };
  return { trace, covers: (other, sizes) => isCovered(general, outlineOf(other), sizes) };
}

/** How an extent follows the sizes, by what it is where one of them is one less. */
function lineOf(
  extent: number,
  less: readonly [name: string, extent: number][],
  largest: Sizes,
): number | Line | undefined {
  const [only, ...others] = less.filter(([, other]) => other !== extent);
  if (!only) return extent;
  const [name, other] = only;
  const mul = extent - other;
  if (others.length > 0 || mul < 0) return undefined;
  return { name, mul, add: extent - mul * largest[name]! };
}

/** Symbols from 1 on, or from where no extent is below 0. */
function symsOf(extents: readonly (number | Line)[], largest: Sizes): Map<string, Sym> {
  const lines = extents.filter((extent) => typeof extent === "object");
  return new Map(
    Object.entries(largest).map(([name, max]) => {
      const own = lines.filter((line) => line.name === name);
      const min = Math.max(1, ...own.map(({ mul, add }) => Math.ceil(-add / mul)));
      return [name, new Sym(name, max, min)];
    }),
  );
}

function withDims(value: Value, dims: readonly Dim[]): Value {
  const { storage, dtype, layout, strides, offset, rowScale } = value;
  return new Value({
    storage,
    dtype,
    layout,
    dims,
    strides,
    offset,
    ...(rowScale && { rowScale }),
  });
}

/** The trace with other values in the places of its own. */
function rebuilt(trace: Trace, values: ReadonlyMap<Value, Value>): Trace {
  const nodes = trace.nodes.map((node): Node => {
    const own = {
      ...node,
      inputs: node.inputs.map((value) => values.get(value)!),
      outputs: node.outputs.map((value) => values.get(value)!),
    };
    for (const { storage } of own.outputs) if (storage.producer) storage.producer = own;
    return own;
  });
  return { ...trace, nodes };
}

function outlineOf({ trace, inputs }: SizedTrace): Outline {
  const ids = new Map(trace.leaves.map((leaf, index) => [leaf, index]));
  let key = "";
  for (const leaf of trace.leaves) {
    const input = inputs.indexOf(leaf);
    // What was there before must be the same; what was made meanwhile each recording has anew.
    key += input >= 0 ? `i${input}` : leaf.isKnown ? "k" : `t${identityOf(leaf)}`;
    key += ";";
  }
  const values: Value[] = [];
  const sums: Sum[] = [];
  const add = (value: Value): void => {
    const { storage, dtype, layout, dims, rowScale } = value;
    if (!ids.has(storage)) ids.set(storage, ids.size);
    key += `${ids.get(storage)}${dtype}${layout}${dims.length}${rowScale ? "*" : " "}`;
    values.push(value);
    if (rowScale) add(rowScale);
  };
  for (const { op, inputs: read, outputs, attrs } of trace.nodes) {
    if (op === "matmul" || op === "reduce_sum" || op === "reduce_product") {
      sums.push({ op, axes: Number(attrs.axes), at: values.length });
    }
    key += `${op}(`;
    for (const name in attrs) key += `${name}=${attrs[name]} `;
    read.forEach(add);
    key += ")";
    outputs.forEach(add);
  }
  for (const root of trace.roots) key += `>${ids.get(root)}`;
  return { key, values, sums };
}

const identities = new WeakMap<object, number>();
let identityCount = 0;

function identityOf(object: object): number {
  const known = identities.get(object) ?? identityCount++;
  identities.set(object, known);
  return known;
}

/** Whether the general trace, at these sizes, has the other's extents, elements and sums. */
function isCovered(general: Outline, other: Outline, sizes: Sizes): boolean {
  if (general.key !== other.key) return false;
  const wholes = new Map<Storage, Whole>();
  const isSame = general.values.every((value, index) => {
    const own = other.values[index]!;
    if (value.dims.some((dim, axis) => extentAt(dim, sizes) !== own.dims[axis])) return false;
    const { storage } = value;
    if (storage.producer?.outputs.includes(value)) wholes.set(storage, { wide: value, own });
    return samePlace(value, own, wholes.get(storage));
  });
  return isSame && general.sums.every((sum) => addsAlike(sum, general.values, other.values));
}

/**
 * Whether both add in the same order. Kernels read several axes as one where nothing lies between
 * their rows, and choose by strides, which say nothing along an axis of one element.
 */
function addsAlike({ op, axes, at }: Sum, wide: readonly Value[], own: readonly Value[]): boolean {
  /** The operand's extents, from the last one, where it lies apart; else none. */
  const apart = (index: number): readonly Dim[] => {
    const { dims, strides } = own[at + index]!;
    const others = wide[at + index]!.strides;
    return strides.every((stride, axis) => stride === others[axis]) ? [] : dims.toReversed();
  };
  if (op !== "matmul") return apart(0).length === 0 || (axes < 2 && !apart(0).includes(1));
  const [a, b, c] = [apart(0), apart(1), apart(2)];
  return a[0] !== 1 && !b.slice(0, 2).includes(1) && c[0] !== 1;
}
