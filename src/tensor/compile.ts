/**
 * Functions of tensors as Programs: recorded once for each combination of shapes and dtypes, then
 * run without recording. Tensors that the function reads besides its inputs are those it met when
 * it was recorded, as are plain numbers. Where first extents change from call to call, one Program
 * may serve all of them.
 */
import {
  explainPlan,
  Profile,
  ProfileMeter,
  type ProfileOptions,
  type ProgramMemory,
  rowMajor,
  type Value,
} from "../graph/index.ts";
import {
  type Binding,
  leavesOf,
  type PreparedFunction,
  type RecordedFunction,
  recordFunction,
  rowOf,
  runFunction,
  type TensorFunction,
} from "./recorded-function.ts";
import { RunTimeSizes, type SizeOptions } from "./run-time-sizes.ts";
import { type Compiled, compileTrace, foldTrace } from "./run-trace.ts";
import type { Tensor } from "./tensor.ts";

export interface CompileFunctionOptions extends SizeOptions {
  /**
   * True computes cheap values again rather than keeping them for long, where that lowers the
   * planned peak: in gradients of many layers, above all. Up to half as much work again.
   */
  rematerialize?: boolean;
}

/** The Program of one combination of input shapes, or of all sizes that some extents take. */
export interface CompiledProgram {
  /** Dtype and shape of each input, as `f32(2, 3)`, or `f32(n, 3)` where the size is free. */
  readonly inputs: readonly string[];
  /** What it takes; at the largest sizes where some are free. */
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

interface Made extends CompiledProgram {
  readonly program: Compiled;
  meter: ProfileMeter | undefined;
}

/** Combinations of free sizes that are remembered; older ones are recorded once more. */
const sizedCallsMax = 1024;

/**
 * The function, compiled at its first call for each combination of input shapes and dtypes. With
 * `rows` and `sizes` calls that differ in first extents share a Program.
 *
 * @example
 * ```ts
 * const step = compile((x, w) => x.matmul(w).relu());
 * step(a, b); // records and compiles
 * step(c, d); // runs, when shapes and dtypes are the same
 *
 * const scores = compile((q, k) => q.matmul(k.transpose()).softmax(), {
 *   rows: ["queries", "keys"],
 *   sizes: { queries: 64, keys: 4096 },
 * });
 * ```
 * @throws BitNetError `tensor/read-while-compiling` from a call, when the function reads elements;
 * `tensor/bad-shape` for `rows` and `sizes` that do not fit each other
 */
export function compile<Result extends Tensor | Tensor[]>(
  of: TensorFunction<Result>,
  options: CompileFunctionOptions = {},
): CompiledFunction<Result> {
  const calls = new Map<string, { made: Made; binding: Binding }>();
  const programs = new Map<Compiled, Made>();
  const sizedKeys: string[] = [];
  const sized = new RunTimeSizes(of, options);
  let profiling: ProfileOptions | undefined;
  const madeOf = (program: Compiled, inputs: readonly string[]): Made => {
    const known = programs.get(program);
    if (known) return known;
    const { plan } = program;
    const meter = profiling && meterOf(program, profiling);
    const made = { inputs, memory: plan.memory, explain: () => explainPlan(plan), program, meter };
    programs.set(program, made);
    return made;
  };
  const prepare = (rows: readonly Value[]): { made: Made; binding: Binding } => {
    const recorded = recordFunction(of, rows);
    const { program, inputs, binding } =
      sized.prepare(recorded, rows) ?? prepareExact(recorded, rows, options);
    return { made: madeOf(program, inputs), binding };
  };
  const call: TensorFunction<Result> = (...inputs) => {
    const rows = inputs.map(rowOf);
    let key = "";
    for (const row of rows) key += keyOf(row);
    let known = calls.get(key);
    if (!known) {
      known = prepare(rows);
      calls.set(key, known);
      if (known.binding.sizes) sizedKeys.push(key);
      if (sizedKeys.length > sizedCallsMax) calls.delete(sizedKeys.shift()!);
    }
    const { made, binding } = known;
    const result = runFunction(made.program, binding, rows);
    made.meter?.add(binding.sizes ?? {}, 1);
    return result as Result;
  };
  const methods = {
    startProfile(wanted: ProfileOptions = {}): void {
      profiling = wanted;
      for (const made of programs.values()) made.meter ??= meterOf(made.program, wanted);
    },
    profile: (): Profile =>
      new Profile(
        [...programs.values()].flatMap(({ meter, inputs }) =>
          meter ? [meter.read(programs.size > 1 ? inputs.join(", ") : "")] : [],
        ),
      ),
  };
  return Object.defineProperty(Object.assign(call, methods), "programs", {
    get: () => [...programs.values()],
  }) as CompiledFunction<Result>;
}

function meterOf({ run, plan }: Compiled, options: ProfileOptions): ProfileMeter {
  return new ProfileMeter(run.program, plan.steps, options);
}

/** A Program of these shapes alone. */
function prepareExact(
  { trace: recorded, inputs, results, isList }: RecordedFunction,
  rows: readonly Value[],
  options: CompileFunctionOptions,
): PreparedFunction {
  const trace = foldTrace(recorded);
  const leaves = leavesOf(trace, inputs);
  const laid = results.map(({ dtype, dims }) => ({ dtype, dims, strides: rowMajor(dims) }));
  return {
    program: compileTrace(trace, options),
    inputs: rows.map(String),
    binding: { leaves, results: laid, isList },
  };
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
