/**
 * Functions of tensors as Programs: recorded once for each combination of shapes and dtypes, then
 * run without recording. Tensors that the function reads besides its inputs are those it met when
 * it was recorded, as are plain numbers.
 */
import {
  elementSizes,
  explainPlan,
  Profile,
  ProfileMeter,
  type ProfileOptions,
  type ProgramMemory,
  type Storage,
  Value,
} from "../graph/index.ts";
import { contiguous } from "./movement.ts";
import { pending } from "./pending.ts";
import { type Compiled, compileTrace, execute, foldTrace } from "./run-trace.ts";
import { shapeOf, sizeOf } from "./shapes.ts";
import { Tensor } from "./tensor.ts";

/** A function that reads no elements: what it does must not depend on them. */
export type TensorFunction<Result extends Tensor | Tensor[]> = (...inputs: Tensor[]) => Result;

export interface CompileFunctionOptions {
  /**
   * True computes cheap values again rather than keeping them for long, where that lowers the
   * planned peak: in gradients of many layers, above all. Up to half as much work again.
   */
  rematerialize?: boolean;
}

/** The Program of one combination of input shapes. */
export interface CompiledProgram {
  /** Dtype and shape of each input, as `f32(2, 3)`. */
  readonly inputs: readonly string[];
  readonly memory: ProgramMemory;
  /** The instructions, one a line, and the memory they need. */
  explain(): string;
}

/** A compiled function; see `compile`. */
export interface CompiledFunction<Result extends Tensor | Tensor[]> extends TensorFunction<Result> {
  /** What was compiled so far. */
  readonly programs: readonly CompiledProgram[];
  /** Takes the time of every instruction of the calls from now on. */
  startProfile(options?: ProfileOptions): void;
  /** What the calls since `startProfile` spent their time on. */
  profile(): Profile;
}

interface Recorded extends CompiledProgram {
  program: Compiled;
  meter: ProfileMeter | undefined;
  /** Memory that a run reads: an input by its index, or what was met while recording. */
  leaves: (number | Storage)[];
  results: Value[];
  isList: boolean;
}

const alignment = 64;

/**
 * The function, compiled at its first call for each combination of input shapes and dtypes.
 *
 * @example
 * ```ts
 * const step = compile((x, w) => x.matmul(w).relu());
 * step(a, b); // records and compiles
 * step(c, d); // runs, when shapes and dtypes are the same
 * ```
 * @throws BitNetError `tensor/read-while-compiling` from a call, when the function reads elements
 */
export function compile<Result extends Tensor | Tensor[]>(
  of: TensorFunction<Result>,
  options: CompileFunctionOptions = {},
): CompiledFunction<Result> {
  const known = new Map<string, Recorded>();
  let profiling: ProfileOptions | undefined;
  const call: TensorFunction<Result> = (...inputs) => {
    const rows = inputs.map(rowOf);
    let key = "";
    for (const row of rows) key += keyOf(row);
    let recorded = known.get(key);
    if (!recorded) {
      recorded = recordFunction(of, rows, options);
      known.set(key, recorded);
      if (profiling) recorded.meter = meterOf(recorded, profiling);
    }
    return run(recorded, rows) as Result;
  };
  const methods = {
    startProfile(wanted: ProfileOptions = {}): void {
      profiling = wanted;
      for (const one of known.values()) one.meter ??= meterOf(one, wanted);
    },
    profile: (): Profile =>
      new Profile(
        [...known.values()].flatMap(({ meter, inputs }) =>
          meter ? [meter.read(known.size > 1 ? inputs.join(", ") : "")] : [],
        ),
      ),
  };
  return Object.defineProperty(Object.assign(call, methods), "programs", {
    get: () => [...known.values()],
  }) as CompiledFunction<Result>;
}

function meterOf({ program: { run, plan } }: Recorded, options: ProfileOptions): ProfileMeter {
  return new ProfileMeter(run.program, plan.steps, options);
}

function recordFunction(
  of: TensorFunction<Tensor | Tensor[]>,
  rows: readonly Value[],
  options: CompileFunctionOptions,
): Recorded {
  const stands: Storage[] = rows.map(({ dtype, dims }, index) => {
    const size = Math.max(1, sizeOf(dims as number[])) * elementSizes[dtype];
    return { kind: "state", name: `input ${index}`, size };
  });
  let isList = false;
  const results: Value[] = [];
  const recorded = pending.capture(() => {
    const given = rows.map(
      ({ dtype, dims }, index) => new Tensor(new Value({ storage: stands[index]!, dtype, dims })),
    );
    const made = of(...given);
    isList = Array.isArray(made);
    results.push(...[made].flat().map(({ value }) => value));
    return results;
  });
  const trace = foldTrace(recorded);
  const leaves = trace.leaves.map((leaf) => {
    const index = stands.indexOf(leaf);
    return index < 0 ? leaf : index;
  });
  const program = compileTrace(trace, options);
  const { plan } = program;
  return {
    inputs: rows.map(String),
    memory: plan.memory,
    explain: () => explainPlan(plan),
    ...{ program, leaves, results, isList, meter: undefined },
  };
}

function run({ program, leaves, results, isList, meter }: Recorded, rows: readonly Value[]) {
  const made = results.map(({ dtype, dims }) => {
    const size = sizeOf(dims as number[]) * elementSizes[dtype];
    const storage: Storage = { kind: "state", name: "result", size };
    return new Value({ storage, dtype, dims });
  });
  const given = leaves.map((leaf) => {
    if (typeof leaf !== "number") {
      pending.require(leaf);
      return leaf;
    }
    const { storage, offset } = rows[leaf]!;
    return offset === 0 ? storage : { ...storage, base: storage.base! + offset };
  });
  try {
    execute(program, { leaves: given, roots: made.map(({ storage }) => storage) });
    meter?.add({}, 1);
  } finally {
    for (const [index, leaf] of leaves.entries()) {
      if (typeof leaf === "number") rows[leaf]!.storage.failure ??= given[index]!.failure;
    }
  }
  const tensors = made.map((value) => new Tensor(value));
  return isList ? tensors : tensors[0]!;
}

/** Dtype and extents, by which a recorded function is found again. */
function keyOf(row: Value): string {
  const known = keys.get(row);
  if (known !== undefined) return known;
  const key = `${row.dtype}[${row.dims.join()}]`;
  keys.set(row, key);
  return key;
}

const keys = new WeakMap<Value, string>();

/** The input row by row in computed memory that a Program can be bound to. */
function rowOf(input: Tensor): Value {
  let row = contiguous(input.value);
  pending.require(row.storage);
  if (row.offset === 0) return row;
  if ((row.storage.base! + row.offset) % alignment !== 0) {
    row = pending.apply("copy", [row])[0]!;
    pending.require(row.storage);
  }
  return new Value({
    storage: row.storage,
    dtype: row.dtype,
    dims: shapeOf(row),
    offset: row.offset,
  });
}
