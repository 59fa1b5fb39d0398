/** Values computed again instead of kept: less memory, the same bits. */
import { describe, expect, test } from "bun:test";
import { planGraph } from "../../src/graph/compile.ts";
import { Graph, Program, type Value } from "../../src/graph/index.ts";
import { Region } from "../../src/native/index.ts";
import { compile, grad, randn, type Tensor } from "../../src/tensor/index.ts";
import { normals } from "./reference.ts";

/** The planned peak of a gradient with its values kept, and computed again; the bits are equal. */
function peaks(loss: (x: Tensor) => Tensor): { kept: number; again: number } {
  const x = randn([32, 64], { seed: 7 });
  x.data();
  const [kept, again] = [false, true].map((rematerialize) => {
    const step = compile((input) => grad(loss)(input), { rematerialize });
    const [gradient] = step(x);
    const elements = Float32Array.from(gradient!.data() as Float32Array);
    return { elements, arena: step.programs[0]!.memory.arena };
  });
  expect(again!.elements).toEqual(kept!.elements);
  return { kept: kept!.arena, again: again!.arena };
}

describe("the planned peak of gradients", () => {
  const weights = () =>
    Array.from({ length: 12 }, (_, seed) => randn([64, 64], { seed, std: 0.1 }));

  test("falls to little more than half where layers have gates", () => {
    const all = weights();
    const { kept, again } = peaks((x) => {
      let h = x;
      for (const w of all) {
        const y = h.matmul(w);
        h = y.mul(y.sigmoid());
      }
      return h.mean();
    });
    expect(again).toBeLessThan(0.6 * kept);
  });

  test("falls to less than half where several values are made of one that can be kept", () => {
    const all = weights();
    const { kept, again } = peaks((x) => {
      let h = x;
      for (const w of all) h = h.matmul(w).gelu();
      return h.mean();
    });
    expect(again).toBeLessThan(0.45 * kept);
  });

  test("falls to less than half in a deep chain", () => {
    const { kept, again } = peaks((x) => {
      let h = x;
      for (let layer = 0; layer < 40; layer += 1) h = h.sin();
      return h.mean();
    });
    expect(again).toBeLessThan(0.5 * kept);
  });

  test("stays where nothing cheap waits", () => {
    const all = weights();
    const { kept, again } = peaks((x) => {
      let h = x;
      for (const w of all) h = h.matmul(w).tanh();
      return h.mean();
    });
    expect(again).toBe(kept);
  });
});

describe("a value that waits for its last reader", () => {
  const dims = [64, 64];
  const size = 64 * 64 * 4;

  /** exp(x) is read at once and at the end; in between three products are alive together. */
  function waiting(change: (graph: Graph, x: Value, kept: Value) => void = () => {}): Graph {
    const graph = new Graph();
    const x = graph.stateValue(graph.state("x", size), { dtype: "f32", dims });
    const kept = graph.one("exp", [x]);
    const first = graph.one("softmax", [kept]);
    const products = [first, first.permute([1, 0])].map((one) => graph.one("matmul", [one, first]));
    change(graph, x, kept);
    const last = graph.one("matmul", products);
    graph.one("matmul", [last, kept], { into: [graph.output("y", "f32", dims)] });
    return graph;
  }

  function ops(graph: Graph): string[] {
    return planGraph(graph, { rematerialize: true }).steps.map(({ node }) => node.op);
  }

  test("is computed again just before it, of what is there anyway", async () => {
    const graph = waiting();
    expect(ops(graph)).toEqual(["exp", "softmax", "matmul", "matmul", "matmul", "exp", "matmul"]);
    const results: Float32Array[] = [];
    const arenas: number[] = [];
    for (const rematerialize of [false, true]) {
      using program = new Program(graph, { rematerialize });
      using x = Region.create(size);
      using y = Region.create(size);
      new Float32Array(x.bytes().buffer).set(normals(64 * 64, 1));
      await program.submit({ regions: { x, y } });
      results.push(Float32Array.from(new Float32Array(y.bytes().buffer)));
      arenas.push(program.memory.arena);
    }
    expect(results[1]).toEqual(results[0]!);
    expect(arenas).toEqual([4 * size, 3 * size]);
  });

  test("stays where what it is made of changes meanwhile", () => {
    const graph = waiting((on, x) => on.one("copy", [on.one("neg", [x])], { into: [x] }));
    expect(ops(graph).filter((op) => op === "exp")).toHaveLength(1);
  });

  test("stays where a feedback reads it after the step", () => {
    const graph = waiting((on, x, kept) => on.feedback(kept, x));
    expect(ops(graph).filter((op) => op === "exp")).toHaveLength(1);
  });
});
