/** Products of the same rows with matrices that lie behind one another are one product. */
import { describe, expect, test } from "bun:test";
import { planGraph } from "../../src/graph/compile.ts";
import { Graph, Sym, type Value, type Weight } from "../../src/graph/index.ts";
import { Region } from "../../src/native/index.ts";
import { packTile2 } from "../../src/quant/index.ts";
import { randomTernary } from "../quant/random-ternary.ts";
import { everywhere } from "./everywhere.ts";
import { normals } from "./reference.ts";

const columns = 48;
const rowsMax = 6;

/** Matrices of these rows in one region, then their scales; `gap` bytes lie between matrices. */
function matrices(rows: readonly number[], gap = 0): { weights: Weight[]; region: Region } {
  const packed = rows.map((count, seed) =>
    packTile2(randomTernary(count * columns, seed + 1), count, columns),
  );
  const sizes = packed.map((bytes) => bytes.length + gap);
  const total = rows.reduce((sum, count) => sum + count, 0);
  const scalesAt = sizes.reduce((sum, size) => sum + size, 0);
  const region = Region.create(scalesAt + 4 * total);
  const scales = new Float32Array(region.bytes(scalesAt, 4 * total).buffer);
  scales.set(normals(total, 9, 0.1));
  let [offset, row] = [0, 0];
  const weights = packed.map((bytes, index): Weight => {
    region.bytes(offset, bytes.length).set(bytes);
    const shape = [rows[index]!, columns];
    const own = { region, dtype: "f32", layout: "strided" } as const;
    const rowScale = { ...own, offset: scalesAt + 4 * row, shape: [rows[index]!] };
    const weight: Weight = { region, offset, dtype: "i8", layout: "tile2", shape, rowScale };
    offset += sizes[index]!;
    row += rows[index]!;
    return weight;
  });
  return { weights, region };
}

/** Each weight's product with x, quantized for each by itself. */
function products(graph: Graph, weights: readonly Weight[], bias?: Value): Value[] {
  const x = graph.input("x", "f32", [new Sym("rows", rowsMax), columns]);
  return weights.map((weight) => {
    const quantized = graph.apply("quantize_rows", [x], { attrs: { levels: 127 } });
    const operands = [...quantized, graph.constant(weight), ...(bias ? [bias] : [])];
    const attrs = { has_bias: bias ? 1 : 0, has_residual: 0 };
    return graph.one("ternary_matmul", operands, { attrs });
  });
}

function opsOf(graph: Graph): string[] {
  return planGraph(graph).steps.map(({ node }) => node.op);
}

const inputs = { x: normals(rowsMax * columns, 4) };

describe("neighbouring products", () => {
  test("of rows that were quantized for each are one, and read in parts, heads and sums", async () => {
    const { weights, region } = matrices([64, 32, 32, 96]);
    using _ = region;
    const graph = new Graph();
    const [q, k, v, rest] = products(graph, weights);
    const rows = q!.dims[0]!;
    const gate = graph.one("gated_activation", [k!, v!], { attrs: { activation: "relu2" } });
    graph.one("copy", [gate], { into: [graph.output("gate", "f32", [rows, 32])] });
    const heads = q!.splitLast(4, 16).slice(1, 1, 2);
    graph.one("copy", [heads], { into: [graph.output("heads", "f32", [rows, 2, 16])] });
    const sum = graph.one("add", [rest!.slice(1, 32, 64), q!]);
    graph.one("copy", [sum], { into: [graph.output("sum", "f32", [rows, 64])] });
    const ops = ["quantize_rows", "ternary_matmul", "gated_activation", "copy", "add"];
    expect(opsOf(graph)).toEqual(ops);
    for (const rowCount of [rowsMax, 1]) {
      const options = { inputs, syms: { rows: rowCount } };
      const joined = await everywhere(graph, { ...options, fuse: true });
      expect(joined).toEqual(await everywhere(graph, options));
    }
  });

  test("stay apart where bytes lie between them, or rows fill no whole tile", () => {
    for (const { weights, region } of [matrices([64, 64], 64), matrices([48, 64])]) {
      using _ = region;
      const graph = new Graph();
      const [a, b] = products(graph, weights);
      graph.one("copy", [a!], { into: [graph.output("a", "f32", a!.dims)] });
      graph.one("copy", [b!], { into: [graph.output("b", "f32", b!.dims)] });
      expect(opsOf(graph)).toEqual(["quantize_rows", "ternary_matmul", "ternary_matmul"]);
    }
  });

  test("stay apart where one has a bias, is asked for after the step, or is read without gaps", () => {
    const { weights, region } = matrices([64, 64]);
    using _ = region;
    const apart = (record: (graph: Graph, parts: Value[]) => void, hasBias = false): void => {
      const graph = new Graph();
      const bias = hasBias ? graph.input("bias", "f32", [64]) : undefined;
      const parts = products(graph, weights, bias);
      record(graph, parts);
      parts.forEach((part, index) => {
        graph.one("rms_norm", [part, graph.input(`gamma${index}`, "f32", [64])], {
          attrs: { eps: 1e-5 },
          into: [graph.output(`y${index}`, "f32", part.dims)],
        });
      });
      expect(opsOf(graph).filter((op) => op === "ternary_matmul")).toHaveLength(2);
    };
    apart(() => {}, true);
    apart((graph, [a]) => {
      const state = graph.state("next", rowsMax * 64 * 4);
      graph.feedback(a!, graph.stateValue(state, { dtype: "f32", dims: a!.dims }));
    });
    apart((graph, [a]) => {
      graph.one("cumulative_sum", [a!], { into: [graph.output("sums", "f32", a!.dims)] });
    });
    apart((graph, [a]) => {
      const whole = a!.view({ dims: [rowsMax * 64], strides: [1] });
      graph.one("copy", [whole], { into: [graph.output("flat", "f32", [rowsMax * 64])] });
    });
  });
});
