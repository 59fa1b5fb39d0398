/** Constants are folded, equal instructions shared, copies spared; the results stay the same. */
import { describe, expect, test } from "bun:test";
import { planGraph } from "../../src/graph/compile.ts";
import { foldConstants, Graph, Program, Value } from "../../src/graph/index.ts";
import { Region } from "../../src/native/index.ts";
import { everywhere } from "./everywhere.ts";
import { normals } from "./reference.ts";

const dims = [4, 6];

function opsOf(graph: Graph): string[] {
  return planGraph(graph).steps.map(({ node }) => node.op);
}

/** A constant of a graph whose content is there. */
function known(graph: Graph, content: Float32Array): { value: Value; region: Region } {
  const region = Region.create(content.byteLength);
  new Float32Array(region.bytes().buffer).set(content);
  const weight = { region, offset: 0, dtype: "f32", layout: "strided", shape: dims } as const;
  const value = graph.constant(weight);
  value.storage.isKnown = true;
  return { value, region };
}

describe("equal instructions", () => {
  test("are done once, and so are those that read them", () => {
    const graph = new Graph();
    const x = graph.input("x", "f32", dims);
    const [a, b] = [graph.one("softmax", [x]), graph.one("softmax", [x])];
    const [c, d] = [graph.one("reduce_sum", [a], { attrs: { axes: 1 } }), b];
    const e = graph.one("reduce_sum", [d], { attrs: { axes: 1 } });
    graph.one("add", [c, e], { into: [graph.output("y", "f32", [4])] });
    expect(opsOf(graph)).toEqual(["softmax", "reduce_sum", "add"]);
  });

  test("keep their results where a condition reads one of them", async () => {
    const graph = new Graph();
    const x = graph.input("x", "i32", [1]);
    const on = [1, 2].map(() => graph.one("reduce_sum", [x], { attrs: { axes: 1 } }));
    const y = graph.output("y", "i32", [1]);
    graph.one("copy", [x], { into: [y] });
    graph.one("sub", [x, x], { into: [y], predicate: on[0] });
    graph.one("add", [x, x], { into: [y], predicate: on[1] });
    expect(opsOf(graph).filter((op) => op === "reduce_sum")).toHaveLength(1);
    for (const [given, want] of [
      [0, 0],
      [7, 14],
    ]) {
      const options = { inputs: { x: Int32Array.of(given!) }, fuse: true };
      const { y: got } = await everywhere(graph, options);
      expect(new Int32Array(got!.buffer)).toEqual(Int32Array.of(want!));
    }
  });

  test("are kept apart by attributes, views, dtypes, and memory that changes in between", () => {
    const graph = new Graph();
    const x = graph.input("x", "f32", [4, 4]);
    const w = graph.stateValue(graph.state("w", 64), { dtype: "f32", dims: [4, 4] });
    const different = [
      graph.one("reduce_sum", [x], { attrs: { axes: 1 } }),
      graph
        .one("reduce_sum", [x], { attrs: { axes: 0 } })
        .slice(1, 0, 1)
        .view({
          dims: [4],
          strides: [4],
        }),
      graph.one("reduce_sum", [x.permute([1, 0])], { attrs: { axes: 1 } }),
      graph.one("reduce_sum", [w], { attrs: { axes: 1 } }),
    ];
    graph.one("copy", [x], { into: [w] });
    different.push(graph.one("reduce_sum", [w], { attrs: { axes: 1 } }));
    different.forEach((value, index) => {
      graph.one("softmax", [value.view({ dims: [1, 4], strides: [4, value.strides[0]!] })], {
        into: [graph.output(`y${index}`, "f32", [1, 4])],
      });
    });
    expect(opsOf(graph).filter((op) => op === "reduce_sum")).toHaveLength(5);
  });

  test("a feedback keeps its own", () => {
    const graph = new Graph();
    const x = graph.input("x", "f32", dims);
    const [first, second] = [graph.one("softmax", [x]), graph.one("softmax", [x])];
    graph.one("reduce_sum", [first], { attrs: { axes: 2 }, into: [graph.output("y", "f32", [])] });
    graph.feedback(second, x);
    expect(opsOf(graph)).toEqual(["softmax", "softmax", "reduce_sum"]);
  });
});

describe("constants", () => {
  test("are folded as far as something else reads them, with the bits of a run", async () => {
    const graph = new Graph();
    const { value, region } = known(graph, normals(24, 1));
    using _ = region;
    const x = graph.input("x", "f32", dims);
    const scaled = graph.one("softmax", [graph.one("mul", [value, value])]);
    graph.one("sub", [x, scaled], { into: [graph.output("y", "f32", dims)] });
    const content = { x: normals(24, 2) };
    const want = await everywhere(graph, { inputs: content });

    const { nodes, made } = foldConstants(graph);
    expect(nodes.map(({ op }) => op)).toEqual(["sub"]);
    expect(made).toHaveLength(1);
    expect(made[0]).toMatchObject({ kind: "constant", isKnown: true, size: 96 });
    const storages = new Map([...graph.storages, ["made", made[0]!]]);
    using program = new Program({ nodes, feedbacks: [], storages });
    using y = Region.create(96);
    program.now({ inputs: content, regions: { y } });
    expect(new Uint8Array(y.bytes())).toEqual(want.y!);
    made[0]!.region![Symbol.dispose]();
  });

  test("what is written, conditional, large or read with an input stays", () => {
    const graph = new Graph();
    const { value, region } = known(graph, normals(24, 1));
    using _ = region;
    const x = graph.input("x", "f32", dims);
    const on = graph.input("on", "i32", [1]);
    const y = graph.output("y", "f32", dims);
    graph.one("add", [graph.one("exp", [value], { predicate: on }), x], { into: [y] });
    const wide = value.view({ dims: [600, 600, 6], strides: [0, 0, 1] });
    const large = graph.one("exp", [wide]);
    graph.one("reduce_sum", [large], { attrs: { axes: 3 }, into: [graph.output("z", "f32", [])] });
    expect(foldConstants(graph)).toEqual({ nodes: graph.nodes, made: [] });

    const changed = new Graph();
    const state = changed.stateValue(changed.state("w", 96), { dtype: "f32", dims });
    state.storage.isKnown = true;
    changed.one("copy", [changed.one("exp", [state])], { into: [state] });
    expect(foldConstants(changed).made).toEqual([]);
  });

  test("data that an instruction refuses is refused, and nothing is kept", () => {
    const graph = new Graph();
    const { value, region } = known(graph, normals(24, 1));
    using _ = region;
    const rows = new Value({ storage: value.storage, dtype: "i32", dims: [2] });
    graph.one("softmax", [graph.one("gather_rows", [value, rows])], {
      into: [graph.output("y", "f32", [2, 6])],
    });
    expect(() => foldConstants(graph)).toThrow("row out of range");
    expect(graph.nodes[0]!.outputs[0]!.storage).toMatchObject({ kind: "arena" });
  });
});

describe("a copy of what was just made", () => {
  const square = [8, 8];

  function product(graph: Graph): { x: Value; y: Value } {
    const x = graph.input("x", "f32", square);
    return { x, y: graph.one("matmul", [x, x]) };
  }

  test("is spared: the instruction writes where the copy went, and others read it there", async () => {
    const graph = new Graph();
    const { y } = product(graph);
    graph.one("copy", [y], { into: [graph.output("y", "f32", square)] });
    graph.one("softmax", [y.slice(0, 2, 3)], { into: [graph.output("z", "f32", [3, 8])] });
    const plan = planGraph(graph);
    expect(plan.steps.map(({ node }) => node.op)).toEqual(["matmul", "softmax"]);
    expect(plan.memory.arena).toBe(0);
    const options = { inputs: { x: normals(64, 1) }, betweenLevels: 1e-5 };
    const fused = await everywhere(graph, { ...options, fuse: true });
    expect(fused).toEqual(await everywhere(graph, options));
  });

  test("stays for a part, another arrangement, a second copy, and memory that is in use", () => {
    const part = new Graph();
    part.one("copy", [product(part).y.slice(0, 0, 4)], { into: [part.output("y", "f32", [4, 8])] });
    expect(opsOf(part)).toEqual(["matmul", "copy"]);

    const gaps = new Graph();
    const wide = gaps.output("y", "f32", [8, 9]).slice(1, 0, 8);
    gaps.one("copy", [product(gaps).y], { into: [wide] });
    expect(opsOf(gaps)).toEqual(["matmul", "copy"]);

    const twice = new Graph();
    const { y } = product(twice);
    for (const name of ["a", "b"]) {
      twice.one("copy", [y], { into: [twice.output(name, "f32", square)] });
    }
    expect(opsOf(twice)).toEqual(["matmul", "copy"]);

    const used = new Graph();
    const state = used.stateValue(used.state("w", 256), { dtype: "f32", dims: square });
    const made = product(used).y;
    used.one("softmax", [state], { into: [used.output("before", "f32", square)] });
    used.one("copy", [made], { into: [state] });
    expect(opsOf(used)).toEqual(["matmul", "softmax", "copy"]);
  });

  test("stays where the target is written again while the value is read", async () => {
    const graph = new Graph();
    const { x, y } = product(graph);
    const state = graph.stateValue(graph.state("w", 256), { dtype: "f32", dims: square });
    graph.one("copy", [y], { into: [state] });
    graph.one("copy", [graph.one("softmax", [x])], { into: [state] });
    graph.one("softmax", [y], { into: [graph.output("y", "f32", square)] });
    expect(opsOf(graph)).toEqual(["matmul", "copy", "softmax", "softmax"]);
    const options = { inputs: { x: normals(64, 1) }, betweenLevels: 1e-5 };
    const fused = await everywhere(graph, { ...options, fuse: true });
    expect(fused).toEqual(await everywhere(graph, options));
  });
});
