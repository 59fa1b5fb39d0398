/**
 * The heavy kernels of a model as Programs of one instruction, on random data, with the shapes of
 * bitnet-b1.58-2B-4T. Imported by the benches; runs nothing.
 */
import {
  elementSizes,
  Graph,
  isTernaryLayout,
  Program,
  type ProgramRun,
  samplingColumns,
  type TernaryLayout,
  type Weight,
  weightSize,
} from "../src/graph/index.ts";
import { type Int8Head, recordInt8Head } from "../src/models/index.ts";
import {
  type DTypeName,
  type LayoutName,
  pagePositions,
  Region,
  SamplingColumn,
} from "../src/native/index.ts";
import {
  base3Source,
  bf16Source,
  headSources,
  int8Source,
  nibbleCentre,
  nibbleSpread,
  normalDeviates,
  type RandomBytes,
  ternarySource,
} from "./random-bytes.ts";

const hidden = 2560;
const feedForward = 6912;
const vocabulary = 128_256;
const heads = 20;
const groups = 5;
const headWidth = 128;

export interface KernelCase {
  name: string;
  program: Program;
  run: ProgramRun;
  /** What bounds it: bytes read from memory, int8 operations, or float operations. */
  limit: "memory" | "int8" | "float";
  /** Bytes or operations of a step; a multiply and an add count as two. */
  amount: number;
}

/** Rows of activations by a weight of (outputs, inputs). */
interface Shape {
  rows: number;
  outputs: number;
  inputs: number;
}

interface WeightKind {
  dtype: DTypeName;
  layout: LayoutName;
}

const bf16: WeightKind = { dtype: "bf16", layout: "strided" };

/** All cases and the memory they work on; `divisor` makes everything smaller by so much. */
export class KernelCases implements Disposable {
  readonly all: KernelCase[] = [];
  readonly #regions: Region[] = [];
  readonly #sources = {
    tile2: ternarySource(),
    tile3: base3Source(),
    int8: int8Source(),
    bf16: bf16Source(),
    head: headSources(),
  };

  constructor(divisor: number) {
    const outputs = (count: number): number => Math.ceil(count / divisor / 32) * 32;
    // Far larger than caches: the rows of many layers as one matrix.
    for (const packing of ["tile2", "tile3"] as const) {
      this.#ternary(packing, { rows: 1, outputs: outputs(160 * hidden), inputs: hidden });
      this.#ternary(packing, { rows: 1, outputs: outputs(60 * hidden), inputs: feedForward });
    }
    const head = { rows: 1, outputs: outputs(vocabulary), inputs: hidden };
    for (const topK of [undefined, 0, 40]) this.#head(head, topK);
    this.#dense({ rows: 1, outputs: outputs(vocabulary / 2), inputs: hidden });
    const fewer = (count: number): number => Math.ceil(count / divisor);
    this.#attention({ rows: 1, depth: 64 });
    // The caches of all layers, which come from memory.
    this.#attention({ rows: 1, depth: fewer(2048), layers: fewer(30) });
    for (const rows of [fewer(128), fewer(512)]) {
      for (const packing of ["tile2", "tile3"] as const) {
        this.#ternary(packing, { rows, outputs: outputs(2 * feedForward), inputs: hidden });
        this.#ternary(packing, { rows, outputs: outputs(hidden), inputs: feedForward });
      }
    }
    this.#dense({ rows: fewer(128), outputs: outputs(feedForward), inputs: hidden });
    this.#head({ ...head, rows: fewer(32) });
    this.#attention({ rows: fewer(128), depth: fewer(2048) });
  }

  [Symbol.dispose](): void {
    for (const { program } of this.all) program[Symbol.dispose]();
    for (const region of this.#regions) region[Symbol.dispose]();
  }

  #ternary(packing: TernaryLayout, shape: Shape): void {
    const kind: WeightKind = { dtype: "i8", layout: packing };
    const weight = this.#weight(kind, shape, this.#sources[packing]);
    const rowScale = this.#vector(shape.outputs);
    this.#matmul("ternary_matmul", shape, {
      graph: (graph) => [
        graph.input("x", "i8", [shape.rows, shape.inputs]),
        graph.input("a", "f32", [shape.rows]),
        graph.constant({ ...weight, rowScale }),
      ],
      attrs: { has_bias: 0, has_residual: 0 },
      kind,
    });
  }

  /** The int8 head in full; or screened, for the largest logit (0) or the largest `topK`. */
  #head({ rows, outputs, inputs }: Shape, topK?: number): void {
    const head = this.#int8Head(outputs, inputs);
    const graph = new Graph();
    const normed = graph.input("x", "f32", [rows, inputs]);
    const into = graph.output("y", "f32", [rows, outputs]);
    const content: Record<string, Float32Array | Int32Array> = {
      x: Float32Array.from({ length: rows * inputs }, normalDeviates(7)),
    };
    if (topK === undefined) {
      recordInt8Head(graph, normed, { head, into });
    } else {
      const sampling = {
        params: graph.input("params", "f32", [rows, samplingColumns]),
        history: graph.input("history", "i32", [rows, 1]),
        lengths: graph.input("lengths", "i32", [rows]),
      };
      recordInt8Head(graph, normed, { head, sampling, into });
      const params = new Float32Array(samplingColumns);
      params[SamplingColumn.temperature] = Math.min(topK, 1);
      params[SamplingColumn.top_k] = topK;
      content.params = Float32Array.from(Array.from({ length: rows }, () => [...params]).flat());
      content.history = new Int32Array(rows);
      content.lengths = new Int32Array(rows);
    }
    const kind = topK === undefined ? "full" : topK === 0 ? "greedy" : `top ${topK}`;
    const planes = topK === undefined ? 2 : 1;
    this.all.push({
      name: `head, ${kind}, ${rows} x (${outputs}, ${inputs})`,
      program: new Program(graph),
      run: { inputs: content, regions: { y: this.#region(rows * outputs * 4) } },
      limit: rows === 1 ? "memory" : "int8",
      // Of a screened head the high plane counts alone: refining is overhead.
      amount: rows === 1 ? (planes * outputs * inputs) / 2 : 4 * rows * outputs * inputs,
    });
  }

  #int8Head(outputs: number, inputs: number): Int8Head {
    const size = (outputs * inputs) / 2;
    const plane = (source: RandomBytes): Weight => ({
      region: this.#filled(size, source),
      offset: 0,
      dtype: "u8",
      layout: "nibble4",
      shape: [outputs, inputs],
    });
    return {
      high: plane(this.#sources.head.high),
      low: plane(this.#sources.head.low),
      scales: this.#vector(outputs),
      centre: this.#vector(outputs, nibbleCentre),
      spread: this.#vector(outputs, nibbleSpread),
    };
  }

  #dense(shape: Shape): void {
    const weight = this.#weight(bf16, shape, this.#sources.bf16);
    this.#matmul("dense_matmul", shape, {
      graph: (graph) => [
        graph.input("x", "f32", [shape.rows, shape.inputs]),
        graph.constant(weight),
      ],
      attrs: { has_bias: 0 },
      kind: bf16,
    });
  }

  #matmul(
    op: "ternary_matmul" | "dense_matmul",
    { rows, outputs, inputs }: Shape,
    parts: {
      graph: (graph: Graph) => ReturnType<Graph["input"]>[];
      attrs: Record<string, number>;
      kind: WeightKind;
    },
  ): void {
    const graph = new Graph();
    const operands = parts.graph(graph);
    const into = [graph.output("y", "f32", [rows, outputs])];
    graph.apply(op, operands, { attrs: parts.attrs, into });
    const x = new Uint8Array(rows * inputs * elementSizes[operands[0]!.dtype]);
    if (op === "dense_matmul") new Float32Array(x.buffer).fill(0.5);
    else this.#sources.int8.fill(x);
    const content: Record<string, Uint8Array | Float32Array> = { x };
    if (op !== "dense_matmul") content.a = new Float32Array(rows).fill(1);
    const { kind } = parts;
    const bytes = weightSize({ ...kind, shape: [outputs, inputs] });
    const few = rows === 1;
    const packing = isTernaryLayout(kind.layout) ? ` ${kind.layout}` : "";
    this.all.push({
      name: `${op}${packing} ${rows} x (${outputs}, ${inputs})`,
      program: new Program(graph),
      run: { inputs: content, regions: { y: this.#region(rows * outputs * 4) } },
      limit: few ? "memory" : op === "dense_matmul" ? "float" : "int8",
      amount: few ? bytes : 2 * rows * outputs * inputs,
    });
  }

  /** The last `rows` positions of a sequence of `depth`, layer after layer. */
  #attention({ rows, depth, layers = 1 }: { rows: number; depth: number; layers?: number }): void {
    const pageCount = Math.ceil(depth / pagePositions);
    const size = 2 * pageCount * groups * headWidth * pagePositions;
    const graph = new Graph();
    const dims = (a: number, b: number): number[] => [pageCount, groups, a, b];
    const keys = graph.state("keys", layers * size);
    const values = graph.state("values", layers * size);
    const places = [
      graph.input("positions", "i32", [rows]),
      graph.input("sequences", "i32", [rows]),
      graph.input("pages", "i32", [1, pageCount]),
    ];
    let y = graph.input("q", "f32", [rows, heads, headWidth]);
    for (let layer = 0; layer < layers; layer += 1) {
      const part = { dtype: "f16", offset: layer * size } as const;
      const cache = [
        graph.stateValue(keys, { ...part, dims: dims(headWidth, pagePositions) }),
        graph.stateValue(values, { ...part, dims: dims(pagePositions, headWidth) }),
      ];
      y = graph.one("attention", [y, ...cache, ...places], {
        attrs: { scale: 1 / Math.sqrt(headWidth) },
        ...(layer + 1 === layers && { into: [graph.output("y", "f32", [rows, heads, headWidth])] }),
      });
    }
    const width = rows * heads * headWidth;
    // Half of the newest `rows` positions are ahead of a row on average.
    const positionsSeen = rows * (depth - (rows - 1) / 2);
    const times = layers > 1 ? `, ${layers} layers` : "";
    this.all.push({
      name: `attention ${rows} x ${heads}/${groups} x ${headWidth}, depth ${depth}${times}`,
      program: new Program(graph),
      run: {
        inputs: {
          q: new Float32Array(width).fill(0.1),
          positions: Int32Array.from({ length: rows }, (_, row) => depth - rows + row),
          sequences: new Int32Array(rows),
          pages: Int32Array.from({ length: pageCount }, (_, index) => index),
        },
        regions: {
          // Bytes of a bf16 below 2 are an f16 below 2.
          keys: this.#filled(layers * size, this.#sources.bf16),
          values: this.#filled(layers * size, this.#sources.bf16),
          y: this.#region(width * 4),
        },
      },
      limit: rows === 1 ? "memory" : "float",
      amount:
        layers *
        (rows === 1 ? 4 * depth * groups * headWidth : 4 * positionsSeen * heads * headWidth),
    });
  }

  #weight({ dtype, layout }: WeightKind, { outputs, inputs }: Shape, source: RandomBytes): Weight {
    const shape = [outputs, inputs];
    const region = this.#filled(weightSize({ dtype, layout, shape }), source);
    return { region, offset: 0, dtype, layout, shape };
  }

  #vector(count: number, value = 1): Weight {
    const region = this.#region(count * 4);
    new Float32Array(region.bytes().buffer).fill(value);
    return { region, offset: 0, dtype: "f32", layout: "strided", shape: [count] };
  }

  #filled(size: number, source: RandomBytes): Region {
    const region = this.#region(size);
    source.fill(region.bytes());
    return region;
  }

  #region(size: number): Region {
    const region = Region.create(size);
    this.#regions.push(region);
    return region;
  }
}
