/**
 * The screened head beside the full one on states of models, each drawn from in four ways: the
 * probabilities are the same, and the error that its bound allows for is measured, in units of
 * |x| * spread (head_rule.zig allows for 6). 400 states in the normal suite, 10,000 of eight models
 * with BITNET_LONG, which tells the largest error seen.
 */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { openCheckpoint } from "../../src/checkpoint/index.ts";
import { Graph, Program, type Value, type Weight } from "../../src/graph/index.ts";
import { type LoadedDecoder, loadDecoder, recordInt8Head } from "../../src/models/index.ts";
import { Region } from "../../src/native/index.ts";
import { type CacheShape, cacheSize } from "../../src/nn/index.ts";
import { Random } from "../checkpoint/random.ts";
import {
  type Draw,
  drawingContents,
  drawingInputs,
  recordProbabilities,
} from "../graph/random-head.ts";

const isLong = process.env.BITNET_LONG === "1";
const fixtures = join(import.meta.dir, "../fixtures/models");
const fairyTales = join(import.meta.dir, "../../models/fairy-tales");
const models = isLong
  ? [
      fairyTales,
      ...["bitnet-2b4t-packed", "llama3-8b-1.58", "falcon3-1.58", "falcon-e"],
      ...["llama-rmsnorm-packed", "1bitllm-3b", "long-context"],
    ]
  : [fairyTales, "falcon3-1.58"];
const statesEach = isLong ? 1280 : 200;
const sequences = 4;
const tokensEach = 40;
/** What head_rule.zig allows for. */
const band = 6;

let worst = 0;
let statesSeen = 0;
/** Rows of greedy steps, and those of them whose low plane was read. */
let rowsSeen = 0;
let rowsRefined = 0;
afterAll(() => {
  console.log(
    `${statesSeen} states: the largest error is ${worst.toFixed(2)} units of the ${band} allowed, ` +
      `so the smallest margin is ${(band - worst).toFixed(2)}; greedy steps read the low plane ` +
      `of ${((100 * rowsRefined) / rowsSeen).toFixed(1)} % of the rows`,
  );
});

const draws: readonly Draw[] = [
  {},
  { temperature: 1, topK: 40 },
  { penalty: 1.3, history: [3, 1, 4, 1, 5] },
  { temperature: 0.7, topK: 2 },
];

/** What a step leaves behind: probabilities by both heads, and what the error is measured by. */
const outputs = {
  full: "f32",
  refined: "f32",
  fullDrawn: "f32",
  refinedDrawn: "f32",
  sums: "i32",
  x: "i16",
  a: "f32",
} as const;

type Regions = Record<keyof typeof outputs, Region>;

test.each(models)(
  "%s: draws the same from the screened head",
  async (name) => {
    const path = name.startsWith("/") ? name : join(fixtures, name);
    using loaded = await loadDecoder(await openCheckpoint(path), { int8Head: true });
    const { vocabularySize, hiddenSize } = loaded.decoder.config;
    using states = new Program(recordStates(loaded));
    using heads = new Program(recordHeads(loaded));
    using hidden = Region.create(tokensEach * hiddenSize * 4);
    using cache = Region.create(cacheSize(cacheShape(loaded)));
    using stack = new DisposableStack();
    const size = sequences * Math.max(vocabularySize, hiddenSize) * 4;
    const regions = Object.fromEntries(
      Object.keys(outputs).map((output) => [output, stack.use(Region.create(size))]),
    ) as Regions;
    const random = new Random(models.indexOf(name) + 1);
    for (let seen = 0; seen < statesEach; seen += tokensEach) {
      const inputs = {
        ids: Int32Array.from({ length: tokensEach }, () => random.below(vocabularySize)),
        positions: Int32Array.from({ length: tokensEach }, (_, at) => at),
        sequences: new Int32Array(tokensEach),
        pages: Int32Array.of(0),
      };
      await states.submit({ inputs, regions: { hidden, cache } });
      for (let at = 0; at < tokensEach; at += sequences) {
        const bytes = hidden.bytes(at * hiddenSize * 4, sequences * hiddenSize * 4);
        const normed = new Float32Array(bytes.slice().buffer);
        const where = `states from ${seen + at} of ${name}`;
        for (let turn = 0; turn < draws.length; turn += 1) {
          const turned = [...draws.slice(turn), ...draws.slice(0, turn)];
          await heads.submit({ inputs: { normed, ...drawingContents(turned) }, regions });
          compare(loaded, regions, { where, greedy: (draws.length - turn) % draws.length });
        }
        measure(loaded, regions);
        statesSeen += sequences;
      }
    }
    expect(rowsRefined / rowsSeen).toBeLessThan(0.5);
  },
  120_000,
);

function cacheShape({ decoder }: LoadedDecoder): CacheShape {
  const { layerCount, groupCount, headWidth } = decoder.config;
  return { layerCount, groupCount, headWidth, pageCount: 1, dtype: "f16" };
}

/** Tokens of one page to what the head reads of each. */
function recordStates(loaded: LoadedDecoder): Graph {
  const { decoder } = loaded;
  const graph = new Graph();
  const ids = graph.input("ids", "i32", [tokensEach]);
  const places = {
    positions: graph.input("positions", "i32", [tokensEach]),
    sequences: graph.input("sequences", "i32", [tokensEach]),
    pages: graph.input("pages", "i32", [1, 1]),
  };
  const shape = cacheShape(loaded);
  const cache = graph.state("cache", cacheSize(shape));
  const x = decoder.forward(graph, { ids, places, cache, cacheShape: shape });
  const into = graph.output("hidden", "f32", [tokensEach, decoder.config.hiddenSize]);
  graph.one("copy", [decoder.normed(graph, x)], { into: [into] });
  return graph;
}

/** Both heads side by side. */
function recordHeads({ decoder }: LoadedDecoder): Graph {
  const { hiddenSize, vocabularySize } = decoder.config;
  const head = decoder.weights.int8Head!;
  const graph = new Graph();
  const normed = graph.input("normed", "f32", [sequences, hiddenSize]);
  const sampling = drawingInputs(graph, sequences);
  const keep = (name: keyof typeof outputs, value: Value): void => {
    const into = [graph.output(name, outputs[name], value.dims)];
    graph.one("copy", [value], { into });
  };
  const into = graph.output("full", "f32", [sequences, vocabularySize]);
  const full = recordInt8Head(graph, normed, { head, into });
  keep("fullDrawn", recordProbabilities(graph, full, sampling));
  const refined = recordInt8Head(graph, normed, { head, sampling });
  keep("refined", refined);
  keep("refinedDrawn", recordProbabilities(graph, refined, sampling));
  const screen = graph.nodes.find(({ op }) => op === "head_screen")!;
  keep("sums", screen.outputs[0]!);
  keep("x", screen.inputs[0]!);
  keep("a", screen.inputs[1]!);
  return graph;
}

/** Both heads give the same probabilities; counts what the greedy sequence refined. */
function compare(
  { decoder }: LoadedDecoder,
  { fullDrawn, refinedDrawn, refined }: Regions,
  { where, greedy }: { where: string; greedy: number },
): void {
  const rowSize = decoder.config.vocabularySize * 4;
  const bytes = (region: Region) => region.bytes(0, sequences * rowSize);
  if (Buffer.compare(bytes(fullDrawn), bytes(refinedDrawn)) !== 0) {
    throw new Error(`${where}: other probabilities than the full head's`);
  }
  const logits = new Float32Array(bytes(refined).buffer, greedy * rowSize, rowSize / 4);
  rowsSeen += logits.length;
  rowsRefined += logits.filter((logit) => logit !== Number.NEGATIVE_INFINITY).length;
}

/** Takes the largest error of all rows into `worst`. */
function measure({ decoder }: LoadedDecoder, regions: Regions): void {
  const { hiddenSize, vocabularySize } = decoder.config;
  const head = decoder.weights.int8Head!;
  const vector = ({ region, offset }: Weight) =>
    new Float32Array(region.bytes(offset, vocabularySize * 4).slice().buffer);
  const [divisors, centre, spread] = [head.scales, head.centre, head.spread].map(vector);
  const full = new Float32Array(regions.full.bytes().buffer);
  const sums = new Int32Array(regions.sums.bytes().buffer);
  const a = new Float32Array(regions.a.bytes().buffer);
  for (let s = 0; s < sequences; s += 1) {
    const x = new Int16Array(regions.x.bytes().buffer, s * hiddenSize * 2, hiddenSize);
    const total = x.reduce((sum, value) => sum + value, 0);
    const size = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
    for (let n = 0; n < vocabularySize; n += 1) {
      const at = s * vocabularySize + n;
      const exact = full[at]! * a[s]! * divisors![n]!;
      const error = Math.abs(exact - sums[at]! - centre![n]! * total);
      if (size > 0) worst = Math.max(worst, error / (size * spread![n]! + 1));
    }
  }
}
