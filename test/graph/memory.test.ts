/** The memory that a Program says it takes is what the pool sees. */
import { expect, test } from "bun:test";
import { Graph, Program } from "../../src/graph/index.ts";
import { memoryMetrics, Region } from "../../src/native/index.ts";
import { compile, grad, randn, type Tensor } from "../../src/tensor/index.ts";
import { openDecoder, recordLogits } from "./model-graph.ts";

function arenaUse(): number {
  return memoryMetrics().usedBy.arena;
}

test("the planned peak is what a run takes of the pool, and stays below the sum of values", async () => {
  const graph = new Graph();
  let x = graph.input("x", "f32", [100, 300]);
  const sizes = [300, 200, 50, 400, 10];
  for (const width of sizes) {
    x = graph.one("softmax", [graph.one("softmax", [x]).slice(1, 0, Math.min(width, 10))]);
    x = graph.one("copy", [x.slice(1, 0, 1).broadcast([100, width])]);
  }
  graph.one("softmax", [x], { into: [graph.output("y", "f32", [100, 10])] });
  using program = new Program(graph);
  using apart = new Program(graph, { reuseMemory: false });
  using y = Region.create(4000);
  for (const one of [program, apart]) {
    const before = arenaUse();
    await one.submit({ inputs: { x: new Float32Array(30_000) }, regions: { y } });
    expect(arenaUse() - before).toBe(one.memory.arena);
  }
  expect(program.memory.arena).toBeLessThan(program.memory.values / 2);
  expect(apart.memory.arena).toBe(apart.memory.values);
  expect(program.memory).toMatchObject({ inputs: 120_000, outputs: 4000, constants: 0, state: 0 });
  expect(program.explain()).toContain("memory: arena ");
});

test("a model's Program, too", async () => {
  using loaded = await openDecoder("bitnet-2b4t-packed");
  const graph = new Graph();
  recordLogits(graph, loaded.decoder, { rows: 16, sequences: 1, pages: 1 });
  using program = new Program(graph);
  using cache = Region.create(graph.storages.get("cache")!.size);
  using logits = Region.create(graph.storages.get("logits")!.size);
  const before = arenaUse();
  await program.submit({
    inputs: {
      ids: new Int32Array(16),
      positions: Int32Array.from({ length: 16 }, (_, at) => at),
      sequences: new Int32Array(16),
      pages: Int32Array.of(0),
    },
    regions: { cache, logits },
  });
  expect(arenaUse() - before).toBe(program.memory.arena);
  expect(program.memory.state).toBe(cache.size);
});

test("a compiled function tells the memory of each of its Programs", () => {
  const loss = (w: Tensor) => w.matmul(w).exp().mean();
  const step = compile((w) => grad(loss)(w));
  for (const size of [32, 64]) {
    const w = randn([size, size], { seed: 1, std: 0.1 });
    w.data();
    // What nobody holds any more is not given back in between.
    Bun.gc(true);
    const before = arenaUse();
    step(w);
    expect(arenaUse() - before).toBe(step.programs.at(-1)!.memory.arena);
  }
  expect(step.programs.map(({ inputs }) => inputs[0])).toEqual(["f32(32, 32)", "f32(64, 64)"]);
});
