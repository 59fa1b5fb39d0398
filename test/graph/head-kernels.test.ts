/**
 * quantize_nibbles, head_screen and head_refine as Programs: whatever is drawn, the screened head
 * gives the same bits as the full one.
 */
import { describe, expect, test } from "bun:test";
import { Graph } from "../../src/graph/index.ts";
import { recordInt8Head } from "../../src/models/index.ts";
import { packNibble4 } from "../../src/quant/index.ts";
import { everywhere, floats } from "./everywhere.ts";
import {
  type Draw,
  drawingContents,
  drawingInputs,
  type HeadShape,
  headOf,
  type OwnedHead,
  recordProbabilities,
} from "./random-head.ts";
import { integers, normals, quantizeRow, rowOf } from "./reference.ts";

const shape: HeadShape = { rows: 1003, columns: 200 };

function randomHead({ rows, columns }: HeadShape, seed = 1): OwnedHead {
  return headOf(Int8Array.from(integers(rows * columns, seed, [-127, 127])), { rows, columns });
}

interface Compared {
  /** Logits, (sequences, rows). */
  full: Float32Array;
  refined: Float32Array;
  fullProbabilities: Float32Array;
  probabilities: Float32Array;
}

/** Both heads, on every level and thread count, and the probabilities that are drawn from. */
async function compare(
  head: OwnedHead,
  x: Float32Array,
  { draws, columns, rows }: HeadShape & { draws: readonly Draw[] },
): Promise<Compared> {
  const graph = new Graph();
  const normed = graph.input("x", "f32", [draws.length, columns]);
  const sampling = drawingInputs(graph, draws.length);
  const output = (name: string) => graph.output(name, "f32", [draws.length, rows]);
  const logits = {
    full: recordInt8Head(graph, normed, { head, into: output("full") }),
    refined: recordInt8Head(graph, normed, { head, sampling, into: output("refined") }),
  };
  for (const [name, value] of Object.entries(logits)) {
    const probabilities = recordProbabilities(graph, value, sampling);
    graph.one("copy", [probabilities], { into: [output(`${name}Probabilities`)] });
  }
  const got = await everywhere(graph, { inputs: { x, ...drawingContents(draws) } });
  return {
    full: floats(got.full!),
    refined: floats(got.refined!),
    fullProbabilities: floats(got.fullProbabilities!),
    probabilities: floats(got.refinedProbabilities!),
  };
}

/** How many logits were left out. */
function leftOut(logits: Float32Array): number {
  return logits.filter((logit) => logit === Number.NEGATIVE_INFINITY).length;
}

describe("a screened head", () => {
  test("draws the same and leaves most rows out, greedy and for every top-k up to 64", async () => {
    using head = randomHead(shape);
    for (const topK of [0, 1, 2, 40, 64]) {
      const draws = [{ temperature: Math.min(1, topK), topK }];
      const { full, refined, ...drawn } = await compare(head, normals(200, 5 + topK), {
        ...shape,
        draws,
      });
      expect(drawn.probabilities).toEqual(drawn.fullProbabilities);
      refined.forEach((logit, n) => {
        if (logit !== Number.NEGATIVE_INFINITY) expect(logit).toBe(full[n]!);
      });
      expect(leftOut(refined)).toBeGreaterThan(topK > 2 ? 0 : 700);
    }
  });

  test("draws the same on shapes around its tiles, with fewer rows than top-k asks for", async () => {
    for (const [rows, columns] of [
      [1, 1],
      [3, 127],
      [8, 128],
      [17, 129],
      [33, 300],
    ] as const) {
      using head = randomHead({ rows, columns });
      for (const draw of [{}, { temperature: 1, topK: 40 }]) {
        const draws = [draw, draw, draw];
        const drawn = await compare(head, normals(3 * columns, rows), { rows, columns, draws });
        expect(drawn.probabilities).toEqual(drawn.fullProbabilities);
      }
    }
  });

  test("refines every row of the history where it is penalized or banned, and only there", async () => {
    using head = randomHead(shape);
    const x = normals(200, 9);
    const plain = await compare(head, x, { ...shape, draws: [{}] });
    const best = plain.full.indexOf(Math.max(...plain.full));
    const history = [best, 0, 1002, best, 500, 0];
    for (const draw of [
      { penalty: 1.8 },
      { ngram: 1 },
      { penalty: 0.2, temperature: 1, topK: 3 },
    ]) {
      const drawn = await compare(head, x, { ...shape, draws: [{ ...draw, history }] });
      expect(drawn.probabilities).toEqual(drawn.fullProbabilities);
      for (const token of history) expect(drawn.refined[token]).toBe(drawn.full[token]!);
      expect(leftOut(drawn.refined)).toBeGreaterThan(500);
    }
    const free = await compare(head, x, { ...shape, draws: [{ history }] });
    expect(free.refined).toEqual(plain.refined);
  });

  test("penalized rows do not lower what the others have to reach", async () => {
    const { rows, columns } = shape;
    // A block of rows is far ahead and all of it in the history: counted, it would be the largest
    // bound, which no other row reaches.
    const codes = Int8Array.from(integers(rows * columns, 3, [-20, 20]));
    codes.subarray(0, 8 * columns).fill(120);
    using head = headOf(codes, shape, 9000);
    const history = [0, 1, 2, 3, 4, 5, 6, 7];
    const draws = [{ temperature: 1, topK: 1, penalty: 1000, history }];
    const drawn = await compare(head, new Float32Array(columns).fill(1), { ...shape, draws });
    expect(drawn.probabilities).toEqual(drawn.fullProbabilities);
    expect(drawn.probabilities.indexOf(1)).toBeGreaterThan(7);
  });

  test("all logits are made where they are alike: equal rows, or activations of zero", async () => {
    using equal = headOf(new Int8Array(shape.rows * shape.columns).fill(37), shape);
    const alike = await compare(equal, normals(200, 4), { ...shape, draws: [{}] });
    expect(alike.refined).toEqual(alike.full);
    using head = randomHead(shape);
    const zero = await compare(head, new Float32Array(200), { ...shape, draws: [{}] });
    expect(zero.refined).toEqual(zero.full);
    expect(zero.probabilities[0]).toBe(1);
  });

  test("is full for a step of which one row may draw anything, or of more than eight rows", async () => {
    using head = randomHead(shape);
    const anything: Draw[] = [{ temperature: 1 }, { temperature: 1, topK: 65 }];
    for (const draw of anything) {
      const draws = [{}, draw];
      const mixed = await compare(head, normals(2 * 200, 6), { ...shape, draws });
      expect(mixed.refined).toEqual(mixed.full);
    }
    const step = (count: number) =>
      compare(head, normals(count * 200, 7), { ...shape, draws: Array(count).fill({}) });
    const eight = await step(8);
    expect(leftOut(eight.refined)).toBeGreaterThan(5000);
    const nine = await step(9);
    expect(nine.refined).toEqual(nine.full);
  });

  test("rows of a step are screened by their own settings and give the bits they give alone", async () => {
    using head = randomHead(shape);
    const x = normals(4 * 200, 8);
    const draws: Draw[] = [
      {},
      { temperature: 0.5, topK: 7 },
      { penalty: 2, history: [5, 6] },
      { temperature: 2, topK: 64 },
    ];
    const all = await compare(head, x, { ...shape, draws });
    expect(all.probabilities).toEqual(all.fullProbabilities);
    for (const [s, draw] of draws.entries()) {
      const own = x.slice(s * 200, (s + 1) * 200);
      const alone = await compare(head, own, { ...shape, draws: [draw] });
      expect(rowOf(all.refined, s, { width: shape.rows })).toEqual(alone.refined);
    }
  });
});

test("sampling refuses activations that are not finite, screened or not", async () => {
  using head = randomHead({ rows: 40, columns: 24 });
  const x = new Float32Array(24).fill(1);
  x[3] = Number.POSITIVE_INFINITY;
  for (const draw of [{}, { temperature: 1 }]) {
    const run = compare(head, x, { rows: 40, columns: 24, draws: [draw] });
    await expect(run).rejects.toThrow("not finite");
  }
});

test("quantize_nibbles equals the definitions, padding included", async () => {
  for (const [rows, columns] of [
    [1, 1],
    [4, 128],
    [7, 129],
    [30, 64],
    // More columns than are decoded at a time.
    [2, 5000],
  ] as const) {
    const x = normals(rows * columns, rows, 0.2);
    x.fill(0, 0, Math.floor(columns / 2));
    const quantized = Array.from({ length: rows }, (_, row) =>
      quantizeRow(rowOf(x, row, { width: columns }), 127),
    );
    const codes = Int8Array.from(quantized.flatMap(({ q }) => q));
    const want = packNibble4(codes, rows, columns);
    const graph = new Graph();
    const plane = (name: string) =>
      graph.packedState(graph.state(name, want.high.length), "nibble4", [rows, columns]);
    const vectors = ["scales", "centre", "spread"].map((name) => graph.output(name, "f32", [rows]));
    const input = graph.input("x", "f32", [rows, columns]);
    graph.apply("quantize_nibbles", [input], { into: [plane("high"), plane("low"), ...vectors] });
    const got = await everywhere(graph, { inputs: { x } });
    expect(got.high).toEqual(want.high);
    expect(got.low).toEqual(want.low);
    expect([...floats(got.scales!)]).toEqual(quantized.map(({ a }) => a));
    expect(floats(got.centre!)).toEqual(want.centre);
    expect(floats(got.spread!)).toEqual(want.spread);
  }
});
