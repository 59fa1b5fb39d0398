/** Passes and plans change where and when things happen, never a bit of what comes out. */
import { describe, expect, test } from "bun:test";
import { planGraph } from "../../src/graph/compile.ts";
import { Graph, Program, Sym, type Value } from "../../src/graph/index.ts";
import { Region } from "../../src/native/index.ts";
import { packTile2 } from "../../src/quant/index.ts";
import { randomTernary } from "../quant/random-ternary.ts";
import { everywhere, floats, regionOf } from "./everywhere.ts";
import { openDecoder, recordLogits } from "./model-graph.ts";
import { normals } from "./reference.ts";

const variants = [
  { fuse: true, reuseMemory: true },
  { fuse: false, reuseMemory: true },
  { fuse: true, reuseMemory: false },
  { fuse: false, reuseMemory: false },
];

const rows = 6;
const width = 48;

/** Weights (48, 48) with scales of their rows. */
function ternaryWeight(graph: Graph, seed: number): { w: Value; region: Region } {
  const size = 2 * 3 * 128;
  const region = Region.create(size + width * 4);
  region.bytes(0, size).set(packTile2(randomTernary(width * width, seed), width, width));
  new Float32Array(region.bytes(size, width * 4).buffer).set(normals(width, seed, 0.1));
  const rowScale = {
    region,
    offset: size,
    dtype: "f32",
    layout: "strided",
    shape: [width],
  } as const;
  const shape = [width, width];
  const w = graph.constant({ region, offset: 0, dtype: "i8", layout: "tile2", shape, rowScale });
  return { w, region };
}

/** x, its norm and the quantized product with w: what the fusing passes look for. */
function recordProduct(graph: Graph) {
  const { w, region } = ternaryWeight(graph, 5);
  const x = graph.one("copy", [graph.input("x", "f32", [rows, width])]);
  const gamma = graph.input("gamma", "f32", [width]);
  const normed = graph.one("rms_norm", [x, gamma], { attrs: { eps: 1e-5 } });
  const quantize = () => graph.apply("quantize_rows", [normed], { attrs: { levels: 127 } });
  const multiply = (quantized: Value[]) =>
    graph.one("ternary_matmul", [...quantized, w], { attrs: { has_bias: 0, has_residual: 0 } });
  return { x, normed, quantize, multiply, region };
}

const inputs = { x: normals(rows * width, 1), gamma: normals(width, 2) };

/** Names of the ops of the compiled graph, and its output "y" from all variants alike. */
async function compiled(graph: Graph): Promise<{ ops: string[]; y: Float32Array }> {
  const plain = await everywhere(graph, { inputs });
  for (const options of variants) {
    using program = new Program(graph, options);
    using y = Region.create(plain.y!.length);
    await program.submit({ inputs, regions: { y }, threads: 2 });
    expect(new Uint8Array(y.bytes())).toEqual(plain.y!);
  }
  const { steps } = planGraph(graph);
  return { ops: steps.map(({ node }) => node.op), y: floats(plain.y!) };
}

describe("fusing", () => {
  test("a norm and the quantization after it, a product and the residual added to it", async () => {
    for (const swapped of [false, true]) {
      const graph = new Graph();
      const { x, quantize, multiply, region } = recordProduct(graph);
      using _ = region;
      const product = multiply(quantize());
      const operands = swapped ? [product, x] : [x, product];
      graph.one("add", operands, { into: [graph.output("y", "f32", [rows, width])] });
      const { ops } = await compiled(graph);
      expect(ops).toEqual(["copy", "rms_norm_quantize", "ternary_matmul"]);
    }
  });

  test("leaves a norm that something else reads", async () => {
    const graph = new Graph();
    const { normed, quantize, multiply, region } = recordProduct(graph);
    using _ = region;
    const into = [graph.output("y", "f32", [rows, width])];
    graph.one("add", [multiply(quantize()), normed], { into });
    const { ops } = await compiled(graph);
    expect(ops).toContain("rms_norm");
  });

  test("leaves a norm whose input changes before the quantization", async () => {
    const graph = new Graph();
    const { x, quantize, multiply, region } = recordProduct(graph);
    using _ = region;
    graph.one("add", [x, x], { into: [x] });
    const into = [graph.output("y", "f32", [rows, width])];
    graph.one("mul", [multiply(quantize()), x], { into });
    const { ops } = await compiled(graph);
    expect(ops).toContain("rms_norm");
  });

  test("leaves a sum in the residual's own memory, and a sum with a part of the product", async () => {
    const inPlace = new Graph();
    const first = recordProduct(inPlace);
    using _ = first.region;
    inPlace.one("add", [first.x, first.multiply(first.quantize())], { into: [first.x] });
    inPlace.one("copy", [first.x], { into: [inPlace.output("y", "f32", [rows, width])] });
    expect((await compiled(inPlace)).ops).toContain("add");

    const part = new Graph();
    const second = recordProduct(part);
    using __ = second.region;
    const product = second.multiply(second.quantize());
    const operands = [product.slice(0, 0, 2), second.x.slice(0, 0, 2)];
    part.one("add", operands, { into: [part.output("y", "f32", [2, width])] });
    expect((await compiled(part)).ops).toContain("add");
  });

  test("leaves an addition that is conditional or commits", () => {
    for (const options of [{ commit: true }, { predicated: true }]) {
      const graph = new Graph();
      const { x, quantize, multiply, region } = recordProduct(graph);
      using _ = region;
      const predicate = options.predicated ? graph.input("on", "i32", [1]) : undefined;
      graph.one("add", [x, multiply(quantize())], {
        into: [graph.output("y", "f32", [rows, width])],
        commit: options.commit,
        predicate,
      });
      const last = planGraph(graph).steps.at(-1)!.node;
      expect(last.op).toBe("add");
    }
  });
});

describe("plans", () => {
  test("instructions that lead nowhere are left out", async () => {
    const graph = new Graph();
    const x = graph.input("x", "f32", [rows, width]);
    graph.one("softmax", [x]);
    const kept = graph.one("add", [x, x]);
    graph.one("copy", [kept], { into: [graph.output("y", "f32", [rows, width])] });
    expect(planGraph(graph).steps.map(({ node }) => node.op)).toEqual(["add"]);
  });

  test("values share memory when their lives do not meet", () => {
    const graph = new Graph();
    let x = graph.input("x", "f32", [64]);
    for (let index = 0; index < 20; index += 1) x = graph.one("add", [x, x]);
    graph.one("copy", [x], { into: [graph.output("y", "f32", [64])] });
    using shared = new Program(graph, { fuse: false });
    using apart = new Program(graph, { fuse: false, reuseMemory: false });
    expect(shared.memory.arena).toBe(2 * 256);
    expect(apart.memory.arena).toBe(20 * 256);
  });

  test("thousands of small instructions in a row are still a valid program", () => {
    const graph = new Graph();
    const y = graph.output("y", "f32", [4]);
    const x = graph.input("x", "f32", [4]);
    graph.one("copy", [x], { into: [y] });
    for (let index = 0; index < 3000; index += 1) graph.one("add", [y, x], { into: [y] });
    using program = new Program(graph);
    using region = Region.create(16);
    program.now({ inputs: { x: Float32Array.of(1, 2, 3, 4) }, regions: { y: region } });
    expect([...new Float32Array(region.bytes().buffer)]).toEqual([3001, 6002, 9003, 12_004]);
  });

  test("explain: an instruction a line, with its barriers, sizes and regions", () => {
    const graph = new Graph();
    const count = new Sym("rows", 4000, 1);
    const x = graph.input("x", "f32", [count, 16]);
    const sum = graph.one("add", [x, x]);
    graph.one("softmax", [sum], { into: [graph.output("y", "f32", [count, 16])] });
    using program = new Program(graph);
    expect(program.explain().split("\n")).toEqual([
      "   0  * %0:f32(rows, 16) = add(x:f32(rows, 16), x:f32(rows, 16))",
      "   1 |* y:f32(rows, 16) = softmax(%0:f32(rows, 16))",
      "memory: arena 250.0 KiB for values of 250.0 KiB, inputs 250.0 KiB, outputs 250.0 KiB",
    ]);
  });

  test("recording refuses shapes that do not fit, saying both", () => {
    const graph = new Graph();
    const [a, b] = [graph.input("a", "f32", [2, 3]), graph.input("b", "f32", [3, 2])];
    expect(() => graph.one("add", [a, b])).toThrow("f32(2, 3) and f32(3, 2)");
    expect(() => graph.input("a", "f32", [1])).toThrow("two regions named a");
    expect(() => a.slice(1, 2, 2)).toThrow("(2, 3)");
    using program = new Program(graph);
    expect(() => program.now({ inputs: { c: new Float32Array(1) } })).toThrow("no region named c");
  });
});

test("a model gives the same bits fused or not, with or without shared memory", async () => {
  for (const name of ["bitnet-2b4t-packed", "llama-rmsnorm-packed", "1bitllm-3b"]) {
    using loaded = await openDecoder(name);
    const { vocabularySize } = loaded.decoder.config;
    let first: Uint8Array<ArrayBuffer> | undefined;
    for (const options of variants) {
      const graph = new Graph();
      recordLogits(graph, loaded.decoder, { rows: 11, sequences: 1, pages: 1 });
      using program = new Program(graph, options);
      using cache = Region.create(graph.storages.get("cache")!.size);
      using logits = Region.create(11 * vocabularySize * 4);
      await program.submit({
        inputs: {
          ids: Int32Array.from({ length: 11 }, (_, at) => (at * 7 + 3) % vocabularySize),
          positions: Int32Array.from({ length: 11 }, (_, at) => at),
          sequences: new Int32Array(11),
          pages: Int32Array.of(0),
        },
        regions: { cache, logits },
        threads: 3,
      });
      const got = new Uint8Array(logits.bytes());
      first ??= got;
      expect(got).toEqual(first);
    }
  }
});

test("a run smaller than planned gives the rows it has and leaves the others alone", async () => {
  const count = new Sym("rows", 9, 0);
  const graph = new Graph();
  const x = graph.input("x", "f32", [count, 20]);
  const gamma = graph.input("gamma", "f32", [20]);
  const normed = graph.one("rms_norm", [x, gamma], { attrs: { eps: 1e-6 } });
  const mixed = graph.one("softmax", [normed]);
  graph.one("add", [mixed, normed], { into: [graph.output("y", "f32", [count, 20])] });
  const content = { x: normals(180, 3), gamma: normals(20, 4) };
  const all = floats((await everywhere(graph, { inputs: content })).y!);
  for (const size of [0, 1, 5, 8]) {
    const got = floats((await everywhere(graph, { inputs: content, syms: { rows: size } })).y!);
    expect(got.subarray(0, size * 20)).toEqual(all.subarray(0, size * 20));
    const rest = new Uint8Array(got.buffer, size * 80);
    expect(rest.every((byte) => byte === 0x55)).toBe(true);
  }
  using program = new Program(graph);
  using y = Region.create(720);
  for (const size of [10, 1e9]) {
    const run = { inputs: content, regions: { y }, syms: { rows: size } };
    expect(() => program.now(run)).toThrow("do not fit");
  }
  using region = regionOf(content.x);
  expect(() => program.now({ inputs: content, regions: { y: { region, offset: 8 } } })).toThrow(
    "do not fit",
  );
});
