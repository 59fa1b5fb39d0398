/**
 * Tensors as text, the way NumPy prints them: aligned columns, eight significant digits, the
 * middle of long axes left out.
 */
import type { Value } from "../graph/index.ts";
import type { DType } from "./dtypes.ts";
import { indexed } from "./indexing.ts";
import { type NestedArray, nested } from "./read.ts";
import { formatShape, shapeOf, sizeOf } from "./shapes.ts";

/** From here on only the edges of each axis are shown. */
const shownMax = 1000;
const edge = 3;
const digits = 8;

/** All elements, or the edges of each axis where there are many. */
export function formatElements(value: Value): string {
  const shape = shapeOf(value);
  if (sizeOf(shape) === 0) return "[]";
  const cut = sizeOf(shape) > shownMax;
  const tree = cut ? edges(value, 0) : nested(value);
  const leaves: (number | boolean)[] = [];
  collect(tree, leaves);
  const format = formatter(leaves, value.dtype as DType);
  const width = Math.max(...leaves.map((leaf) => format(leaf).length));
  return layOut(tree, { depth: 1, show: (leaf) => format(leaf).padStart(width) });
}

/** `tensor((2, 3), f32)` and, where they are there, the elements. */
export function formatTensor(value: Value, elements: string): string {
  const head = `tensor(${formatShape(shapeOf(value))}, ${value.dtype}, cpu`;
  return elements.includes("\n") ? `${head},\n${elements})` : `${head}, ${elements})`;
}

type Tree = NestedArray<number | boolean | null>;

/** Nested elements with null where some are left out. */
function edges(value: Value, axis: number): Tree {
  const shape = shapeOf(value);
  if (shape.length === 0) return nested(value) as Tree;
  const count = shape[0]!;
  const pick = (index: number): Tree => edges(indexed(value, [index]), axis + 1);
  if (count <= 2 * edge) return Array.from({ length: count }, (_, index) => pick(index));
  const first = Array.from({ length: edge }, (_, index) => pick(index));
  const last = Array.from({ length: edge }, (_, index) => pick(count - edge + index));
  return [...first, null, ...last];
}

function collect(tree: Tree, into: (number | boolean)[]): void {
  if (Array.isArray(tree)) for (const branch of tree) collect(branch, into);
  else if (tree !== null) into.push(tree);
}

interface Layout {
  depth: number;
  show: (leaf: number | boolean) => string;
}

function layOut(tree: Tree, { depth, show }: Layout): string {
  if (tree === null) return "...";
  if (!Array.isArray(tree)) return show(tree);
  const inner = tree.map((branch) => layOut(branch, { depth: depth + 1, show }));
  if (!tree.some(Array.isArray)) return `[${inner.join(", ")}]`;
  const gap = tree.some((branch) => Array.isArray(branch) && branch.some(Array.isArray))
    ? "\n\n"
    : "\n";
  return `[${inner.join(`,${gap}${" ".repeat(depth)}`)}]`;
}

/** One way of writing for all elements, so that they can be compared by eye. */
function formatter(
  leaves: readonly (number | boolean)[],
  dtype: DType,
): (leaf: number | boolean) => string {
  if (dtype === "bool" || dtype === "i32" || dtype === "i8" || dtype === "u8") return String;
  const sizes = leaves.map((leaf) => Math.abs(Number(leaf))).filter((x) => x > 0 && x < Infinity);
  const largest = Math.max(0, ...sizes);
  const smallest = Math.min(largest, ...sizes);
  if (largest >= 1e8 || (smallest > 0 && (smallest < 1e-4 || largest / smallest > 1000))) {
    return (leaf) => (Number.isFinite(leaf) ? Number(leaf).toExponential(4) : special(leaf));
  }
  const places = Math.max(1, ...leaves.map((leaf) => placesOf(Number(leaf), dtype)));
  const pad = places;
  return (leaf) => {
    if (!Number.isFinite(leaf)) return special(leaf);
    const text = Number(leaf).toFixed(pad).replace(/0+$/, "");
    return text.padEnd(text.indexOf(".") + 1 + pad);
  };
}

function special(leaf: number | boolean): string {
  return Number.isNaN(leaf) ? "nan" : leaf === Infinity ? "inf" : "-inf";
}

/** Decimals that tell the number apart, eight at most. */
function placesOf(x: number, dtype: DType): number {
  if (!Number.isFinite(x) || Number.isInteger(x)) return 0;
  const precision = dtype === "f64" ? digits : dtype === "f32" ? digits : 4;
  const text = Number(x.toPrecision(precision)).toFixed(digits).replace(/0+$/, "");
  return text.length - text.indexOf(".") - 1;
}
