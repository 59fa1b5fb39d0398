/** Seeded graphs of elementwise instructions over views, of all dtypes that chains take. */
import { Graph, type Value } from "../../src/graph/index.ts";
import type { DTypeName, OpName } from "../../src/native/index.ts";
import type { Random } from "../checkpoint/random.ts";
import { normals, toF16 } from "./reference.ts";

const dims = [2, 3, 410];
const count = 2 * 3 * 410;

const unary: OpName[] = ["neg", "abs"];
const functions: OpName[] = ["floor", "round", "sqrt", "exp", "tanh", "sigmoid", "erf", "cos"];
const binary: OpName[] = ["add", "sub", "mul", "minimum", "maximum", "modulo", "div"];
const comparisons: OpName[] = ["less", "less_equal", "equal", "not_equal"];

export interface RandomGraph {
  graph: Graph;
  inputs: Record<string, ArrayBufferView>;
  states: Record<string, ArrayBufferView<ArrayBuffer>>;
}

export function randomElementwise(random: Random): RandomGraph {
  const graph = new Graph();
  const given = (name: string, dtype: DTypeName, extents = dims): Value =>
    graph.input(name, dtype, extents);
  const turned = given("turned", "f32", [410, 3, 2]).permute([2, 1, 0]);
  const row = given("row", "f32", [410]).broadcast(dims);
  const column = given("column", "f64", [2, 1, 1]).broadcast(dims);
  const state = graph.stateValue(graph.state("state", 4 * count), { dtype: "f32", dims });
  const pool: Value[] = [
    ...[given("a", "f32"), turned, row, column, state],
    ...[given("n", "i32"), given("h", "f16"), given("scale", "f32", []).broadcast(dims)],
  ];
  const steps = 4 + random.below(24);
  for (let left = steps; left > 0; left -= 1) pool.push(anyInstruction(graph, pool, random));
  const last = pool.slice(-4);
  last.forEach((value, index) => {
    graph.one("copy", [value], { into: [graph.output(`y${index}`, value.dtype, dims)] });
  });
  const float = pool.filter(({ dtype }) => dtype === "f32");
  graph.one("add", [random.pick(float), state], { into: [state] });
  const integers = Int32Array.from(normals(count, 4, 50));
  return {
    graph,
    inputs: {
      a: normals(count, 1),
      turned: normals(count, 2),
      row: normals(410, 3),
      column: Float64Array.of(0.1, -3),
      n: integers,
      h: toF16(normals(count, 5)),
      scale: Float32Array.of(0.75),
    },
    states: { state: normals(count, 6) as Float32Array<ArrayBuffer> },
  };
}

function anyInstruction(graph: Graph, pool: readonly Value[], random: Random): Value {
  // What was made last is read most, so that chains are long.
  const pick = (from: readonly Value[]): Value => {
    const recent = from.slice(-3);
    return random.below(3) > 0 ? random.pick(recent) : random.pick(from);
  };
  const kind = random.below(10);
  const conditions = pool.filter(({ dtype }) => dtype === "bool");
  const numbers = pool.filter(({ dtype }) => ["f32", "f64", "i32"].includes(dtype));
  const x = pick(numbers);
  const z = pick(numbers.filter(({ dtype }) => dtype === x.dtype));
  if (kind < 4) return graph.one(random.pick(binary), [x, z]);
  if (kind === 4) return graph.one(random.pick(comparisons), [x, z]);
  if (kind === 5 && conditions.length > 0) return graph.one("select", [pick(conditions), x, z]);
  if (kind === 6) {
    const dtype = random.pick(["f32", "f64", "i32", "f16", "bool"] as const);
    return graph.one("copy", [pick(pool)], { dtype });
  }
  const floats = x.dtype === "i32" ? unary : [...unary, ...functions];
  return graph.one(random.pick(floats), [x]);
}
