/**
 * Tensors as text, the way NumPy prints them: aligned columns, as many digits as tell a number from
 * its neighbours in its dtype, eight behind the point at most, lines of 75 characters, the middle
 * of long axes left out.
 */
import { isFloat, type Value } from "../graph/index.ts";
import type { DType } from "./dtypes.ts";
import { indexed } from "./indexing.ts";
import { type NestedArray, nested } from "./read.ts";
import { formatShape, type Shape, shapeOf, sizeOf } from "./shapes.ts";

/** From here on only the edges of each axis are shown. */
const shownMax = 1000;
const edge = 3;
const digits = 8;
const lineMax = 75;

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
  const show = (leaf: number | boolean): string => format(leaf).padStart(width);
  return layOut(tree, { depth: 0, rank: shape.length, show });
}

/** `tensor((2, 3), f32, cpu, ...)`, the elements on lines of their own where they take several. */
export function formatTensor(
  { shape, dtype }: { shape: Shape; dtype: string },
  elements: string,
): string {
  const head = `tensor(${formatShape(shape)}, ${dtype}, cpu`;
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
  /** Brackets that are open. */
  depth: number;
  rank: number;
  show: (leaf: number | boolean) => string;
}

function layOut(tree: Tree, { depth, rank, show }: Layout): string {
  if (!Array.isArray(tree)) return tree === null ? "..." : show(tree);
  const inside = { depth: depth + 1, rank, show };
  const inner = tree.map((branch) => layOut(branch, inside));
  const indent = " ".repeat(depth + 1);
  if (!tree.some(Array.isArray)) return `[${wrapped(inner, indent)}]`;
  // A blank line between matrices, two between stacks of them, and so on.
  const gap = "\n".repeat(Math.max(1, rank - depth - 1));
  return `[${inner.join(`,${gap}${indent}`)}]`;
}

/** Elements side by side, as many as a line takes; an indent is as wide as the brackets. */
function wrapped(elements: readonly string[], indent: string): string {
  const room = lineMax - indent.length;
  const lines: string[] = [];
  let line = indent;
  for (const [index, element] of elements.entries()) {
    if (line.length > indent.length && line.length + element.length > room) {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += index === elements.length - 1 ? element : `${element}, `;
  }
  return [...lines, line].join("\n").slice(indent.length);
}

/** One way of writing for all elements, so that they can be compared by eye. */
function formatter(
  leaves: readonly (number | boolean)[],
  dtype: DType,
): (leaf: number | boolean) => string {
  if (!isFloat(dtype)) return (leaf) => (dtype === "bool" ? (leaf ? "True" : "False") : `${leaf}`);
  const finite = (leaves as number[]).filter(Number.isFinite);
  const sizes = finite.map(Math.abs).filter((x) => x > 0);
  const largest = Math.max(0, ...sizes);
  const smallest = Math.min(largest, ...sizes);
  const round = roundings[dtype] ?? ((x: number) => x);
  const isSmall = smallest > 0 && smallest < round(1e-4);
  if (largest >= 1e8 || isSmall || round(largest / smallest) > 1000) {
    const places = Math.max(0, ...finite.map((x) => scientificPlaces(x, dtype)));
    const powers = finite.map((x) => x.toExponential(places).split("e")[1]!.length - 1);
    const powerWidth = Math.max(2, ...powers);
    return (leaf) => special(leaf) ?? scientific(Number(leaf), places, powerWidth);
  }
  const places = Math.max(0, ...finite.map((x) => decimalPlaces(x, dtype)));
  return (leaf) => {
    const own = special(leaf);
    if (own) return own;
    const shown = Number(leaf).toFixed(decimalPlaces(Number(leaf), dtype));
    const text = `${Object.is(leaf, -0) ? "-" : ""}${shown}${shown.includes(".") ? "" : "."}`;
    return text.padEnd(text.indexOf(".") + 1 + places);
  };
}

function special(leaf: number | boolean): string | undefined {
  if (Number.isNaN(leaf)) return "nan";
  if (leaf === Infinity) return "inf";
  return leaf === -Infinity ? "-inf" : undefined;
}

/** 1.5e+06: a point always, and powers of equal width. */
function scientific(x: number, places: number, powerWidth: number): string {
  const [mantissa, power] = x.toExponential(places).split("e") as [string, string];
  const sign = Object.is(x, -0) ? "-" : "";
  const point = places === 0 ? "." : "";
  return `${sign}${mantissa}${point}e${power[0]}${power.slice(1).padStart(powerWidth, "0")}`;
}

/** Digits behind the point that tell the number apart. */
function decimalPlaces(x: number, dtype: DType): number {
  const [mantissa, power] = shortest(x, dtype);
  const own = Math.max(0, mantissa - power);
  if (own <= digits) return own;
  return x.toFixed(digits).replace(/0+$/, "").split(".")[1]?.length ?? 0;
}

function scientificPlaces(x: number, dtype: DType): number {
  const [mantissa] = shortest(x, dtype);
  if (mantissa <= digits) return mantissa;
  return (
    x
      .toExponential(digits)
      .replace(/0*e.*$/, "")
      .split(".")[1]?.length ?? 0
  );
}

/** Digits behind the first one, and the power of ten, of the shortest text that reads as x. */
function shortest(x: number, dtype: DType): [digits: number, power: number] {
  const round = roundings[dtype];
  let text = x.toExponential();
  for (let precision = 0; round && precision <= digits; precision += 1) {
    const shorter = x.toExponential(precision);
    if (round(Number(shorter)) !== x) continue;
    text = shorter;
    break;
  }
  const [mantissa, power] = text.split("e") as [string, string];
  const fraction = (mantissa.split(".")[1] ?? "").replace(/0+$/, "");
  return [fraction.length, Number(power)];
}

/** To the nearest number that a dtype has; f64 has what JavaScript has. */
const roundings: Partial<Record<DType, (x: number) => number>> = {
  f32: Math.fround,
  f16: (x) => Float16Array.of(x)[0]!,
  bf16(x) {
    const word = new Uint32Array(Float32Array.of(x).buffer);
    word[0]! += 0x7fff + ((word[0]! >>> 16) & 1);
    word[0]! &= 0xffff0000;
    return new Float32Array(word.buffer)[0]!;
  },
};
