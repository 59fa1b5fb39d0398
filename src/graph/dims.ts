/**
 * Extents of values: whole numbers, or symbols that get their number at each run. A Program is
 * planned for the largest value of every symbol and runs with any smaller one.
 */

/** A size that changes by run, e.g. the rows of a step. */
export class Sym {
  constructor(
    readonly name: string,
    readonly max: number,
    readonly min = 0,
  ) {}
}

/** extent = mul * sym + add, which is not below 0 for any value of the symbol. */
export interface SymbolicDim {
  readonly sym: Sym;
  readonly mul: number;
  readonly add: number;
}

export type Dim = number | SymbolicDim;

export function dimOf(size: Sym | Dim): Dim {
  return size instanceof Sym ? { sym: size, mul: 1, add: 0 } : size;
}

/** The extent at the largest value of its symbol. */
export function extentMax(dim: Dim): number {
  return typeof dim === "number" ? dim : dim.mul * dim.sym.max + dim.add;
}

/** The extent for given values of the symbols. */
export function extentAt(dim: Dim, syms: Readonly<Record<string, number>>): number {
  if (typeof dim === "number") return dim;
  const value = syms[dim.sym.name];
  if (value === undefined) throw new Error(`no value for the size ${dim.sym.name}`);
  return dim.mul * value + dim.add;
}

export function sameDim(a: Dim, b: Dim): boolean {
  if (typeof a === "number" || typeof b === "number") return a === b;
  return a.sym === b.sym && a.mul === b.mul && a.add === b.add;
}

export function sameDims(a: readonly Dim[], b: readonly Dim[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis += 1) if (!sameDim(a[axis]!, b[axis]!)) return false;
  return true;
}

/** `(R, 2560)`: how a shape is told to people. */
export function formatDims(dims: readonly Dim[]): string {
  return `(${dims.map(formatDim).join(", ")})`;
}

function formatDim(dim: Dim): string {
  if (typeof dim === "number") return String(dim);
  const product = dim.mul === 1 ? dim.sym.name : `${dim.mul}${dim.sym.name}`;
  if (dim.add === 0) return product;
  return dim.add < 0 ? `${product}${dim.add}` : `${product}+${dim.add}`;
}
