/**
 * Calls of a compiled function whose inputs have first extents with names: one Program serves all
 * of them that record the same. Each combination of sizes is recorded once, to see that it does;
 * from then on a call binds memory and sizes, and runs. What does not record the same, or is larger
 * than was said, is left to a Program of its own.
 */
import { BitNetError } from "../errors/index.ts";
import { dimOf, rowMajor, Sym, Value } from "../graph/index.ts";
import { type GeneralTrace, generalize, type Sizes } from "./general-trace.ts";
import {
  leavesOf,
  type PreparedFunction,
  type RecordedFunction,
  recordFunction,
  type TensorFunction,
  type TensorShape,
} from "./recorded-function.ts";
import { type Compiled, compileTrace } from "./run-trace.ts";
import type { Tensor } from "./tensor.ts";

export interface SizeOptions {
  /**
   * By input: a name for its first extent where that changes from call to call, null where it does
   * not. Equal names are equal sizes.
   */
  rows?: readonly (string | null)[];
  /** The largest of each; larger ones are compiled for themselves. */
  sizes?: Sizes;
  rematerialize?: boolean;
}

/** A Program of many sizes. */
interface Sized {
  general: GeneralTrace;
  program: Compiled;
  inputs: readonly string[];
  /** How it lays out results. */
  strides: readonly (readonly number[])[];
}

/** The core's limit of a symbol. */
const sizeMax = 2 ** 26;

export class RunTimeSizes {
  readonly #of: TensorFunction<Tensor | Tensor[]>;
  readonly #names: readonly (string | null)[];
  readonly #largest: Sizes;
  readonly #options: SizeOptions;
  /** By dtypes and other extents; null where no Program serves more than one size. */
  readonly #known = new Map<string, Sized | null>();

  /** @throws BitNetError `tensor/bad-shape` for a name without a size, or a size that is none */
  constructor(of: TensorFunction<Tensor | Tensor[]>, options: SizeOptions) {
    const { rows = [], sizes = {} } = options;
    this.#of = of;
    this.#names = rows;
    this.#largest = sizes;
    this.#options = options;
    for (const name of new Set([...rows, ...Object.keys(sizes)])) {
      if (name !== null) requireSize(name, options);
    }
  }

  /** For inputs as they were recorded; undefined where they want a Program of their own. */
  prepare(recorded: RecordedFunction, rows: readonly Value[]): PreparedFunction | undefined {
    const sizes = this.#sizesOf(rows);
    const sized = sizes && this.#sized(rows);
    if (!sized?.general.covers(recorded, sizes!)) return undefined;
    const { trace, inputs, isList } = recorded;
    const results = recorded.results.map((result, index) => ({
      ...result,
      strides: sized.strides[index]!,
    }));
    const binding = { leaves: leavesOf(trace, inputs), results, isList, sizes };
    return { program: sized.program, inputs: sized.inputs, binding };
  }

  /** The sizes of a call; undefined where one is beyond its largest, 0, or not the same twice. */
  #sizesOf(rows: readonly Value[]): Sizes | undefined {
    if (this.#names.every((name) => name === null)) return undefined;
    const sizes: Record<string, number> = {};
    for (const [index, name] of this.#names.entries()) {
      if (name === null) continue;
      const size = Number(rows[index]?.dims[0] ?? 0);
      if (size < 1 || size > this.#largest[name]!) return undefined;
      if (sizes[name] !== undefined && sizes[name] !== size) return undefined;
      sizes[name] = size;
    }
    return sizes;
  }

  #sized(rows: readonly Value[]): Sized | null {
    const named = rows.map((row, index) => this.#namedRow(row, index));
    const key = named.join();
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = this.#make(rows, named);
    this.#known.set(key, made);
    return made;
  }

  /** The shape as people read it, with a name in place of the first extent. */
  #namedRow(row: Value, index: number): string {
    const name = this.#names[index] ?? null;
    if (name === null) return String(row);
    const dims = [dimOf(new Sym(name, this.#largest[name]!)), ...row.dims.slice(1)];
    return String(new Value({ storage: row.storage, dtype: row.dtype, dims }));
  }

  #make(rows: readonly Value[], inputs: readonly string[]): Sized | null {
    let whole: RecordedFunction | undefined;
    const recordAt = (sizes: Sizes): RecordedFunction => {
      const recorded = recordFunction(this.#of, this.#shapesAt(rows, sizes));
      whole ??= recorded;
      return recorded;
    };
    try {
      const general = generalize(recordAt, this.#largest);
      if (!general) return null;
      const program = compileTrace(general.trace, this.#options);
      const strides = whole!.results.map(({ dims }) => rowMajor(dims));
      return { general, program, inputs, strides };
    } catch (error) {
      // What goes wrong at the largest sizes may well be right at those of the call.
      if (error instanceof BitNetError) return null;
      throw error;
    }
  }

  #shapesAt(rows: readonly Value[], sizes: Sizes): TensorShape[] {
    return rows.map(({ dtype, dims }, index) => {
      const name = this.#names[index] ?? null;
      return { dtype, dims: name === null ? dims : [sizes[name]!, ...dims.slice(1)] };
    });
  }
}

function requireSize(name: string, { rows = [], sizes = {} }: SizeOptions): void {
  const size = sizes[name];
  if (size !== undefined && Number.isInteger(size) && size >= 1 && size <= sizeMax) {
    if (rows.includes(name)) return;
    const message = `sizes: no input of rows has the name ${name}; want one of each name`;
    throw new BitNetError("tensor/bad-shape", message);
  }
  throw new BitNetError(
    "tensor/bad-shape",
    `sizes: ${name} is ${size}; want the largest first extent that inputs of that name will have, ` +
      `a whole number from 1 to ${sizeMax}`,
  );
}
