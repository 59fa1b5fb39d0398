/**
 * One op of the core on matrices: a Program of one instruction, kept by its op, dtype and shapes.
 * Runs off the event loop, as all Programs do.
 */
import { type Attrs, Graph, outputShapes, Program, type Value } from "../graph/index.ts";
import { type OpName, Region } from "../native/index.ts";
import { type FloatArray, type Matrices, mismatch } from "./matrices.ts";

interface Compiled {
  program: Program;
  outputs: { name: string; value: Value }[];
}

export interface Call<Data extends FloatArray> {
  op: OpName;
  inputs: readonly Matrices<Data>[];
  attrs?: Attrs;
  /** How many of the op's outputs are wanted, from the first; the others are left in the arena. */
  outputCount: number;
}

/** An output: floats of the inputs' kind, or integers. */
export interface Output<Data extends FloatArray> {
  floats: Data;
  integers: Int32Array;
  shape: readonly number[];
}

/** Programs kept, and bytes of their arenas; the one asked for least recently goes first. */
const programsMax = 64;
const arenaBytesMax = 64 * 2 ** 20;
const programs = new Map<string, Compiled>();

/** @throws BitNetError `linalg/shape-mismatch` for factors of different dtypes, `native/…`. */
export async function run<Data extends FloatArray>(call: Call<Data>): Promise<Output<Data>[]> {
  const { inputs } = call;
  const double = inputs[0]!.data instanceof Float64Array;
  if (inputs.some(({ data }) => data instanceof Float64Array !== double)) {
    throw mismatch(`${call.op}: all matrices in f32 or all in f64`);
  }
  const { program, outputs } = compiled(call, double ? "f64" : "f32");
  using stack = new DisposableStack();
  const regions: Record<string, Region> = {};
  for (const { name, value } of outputs) {
    regions[name] = stack.use(Region.create(Math.max(1, value.storage.size)));
  }
  const contents = Object.fromEntries(inputs.map(({ data }, index) => [`x${index}`, data]));
  const batch = inputs[0]!.shape.slice(0, -2).some((extent) => extent > 1);
  const threads = batch || call.op === "matmul" ? 0 : 1;
  await program.submit({ inputs: contents, regions, threads });
  return outputs.map(({ name, value }) => {
    const bytes = regions[name]!.bytes(0, value.storage.size).slice().buffer;
    const floats = (
      double ? new Float64Array(bytes, 0, bytes.byteLength >> 3) : floatsOf(bytes)
    ) as Data;
    return { floats, integers: integersOf(bytes), shape: value.dims as number[] };
  });
}

function floatsOf(bytes: ArrayBuffer): Float32Array {
  return new Float32Array(bytes);
}

function integersOf(bytes: ArrayBuffer): Int32Array {
  return new Int32Array(bytes);
}

function compiled<Data extends FloatArray>(call: Call<Data>, dtype: "f32" | "f64"): Compiled {
  const { op, inputs, attrs = {}, outputCount } = call;
  const shapes = inputs.map(({ shape }) => shape.join("x"));
  const key = [op, dtype, ...shapes, JSON.stringify(attrs), outputCount].join(" ");
  const known = programs.get(key);
  if (known) {
    programs.delete(key);
    programs.set(key, known);
    return known;
  }
  const graph = new Graph();
  const values = inputs.map(({ shape }, index) => graph.input(`x${index}`, dtype, shape));
  const outputs = outputShapes(op, values, attrs)
    .slice(0, outputCount)
    .map((shape, index) => {
      const name = `y${index}`;
      return { name, value: graph.output(name, shape!.dtype, shape!.dims) };
    });
  graph.apply(op, values, { attrs, into: outputs.map(({ value }) => value) });
  const made = { program: new Program(graph), outputs };
  programs.set(key, made);
  evict();
  return made;
}

/** Lets go of all but the latest that are too much; a run that is under way holds its own. */
function evict(): void {
  let bytes = 0;
  for (const { program } of programs.values()) bytes += program.arenaSize;
  for (const [key, { program }] of programs) {
    const fits = programs.size <= programsMax && bytes <= arenaBytesMax;
    if (fits || programs.size === 1) return;
    programs.delete(key);
    bytes -= program.arenaSize;
    program[Symbol.dispose]();
  }
}
