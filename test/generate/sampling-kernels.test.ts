/**
 * The sampling kernels as Programs: distributions against those of transformers' logits
 * processors, and whole draws of many steps with history, stops and the ring.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BitNetError } from "../../src/errors/index.ts";
import {
  type GenerateOptions,
  randomRow,
  resolveSettings,
  samplingRow,
} from "../../src/generate/index.ts";
import { Graph, Program, type ProgramRun, samplingColumns } from "../../src/graph/index.ts";
import { Region } from "../../src/native/index.ts";

interface Case {
  logits: string;
  params: Record<string, number>;
  kept: number;
  probs: number[];
}

const expected: {
  logits: Record<string, number[]>;
  previous_tokens: number[];
  cases: Case[];
} = JSON.parse(readFileSync(join(import.meta.dir, "../fixtures/sampling/expected.json"), "utf8"));

const optionNames: Record<string, keyof GenerateOptions> = {
  temperature: "temperature",
  top_k: "topK",
  top_p: "topP",
  min_p: "minP",
  typical_p: "typicalP",
  repetition_penalty: "repetitionPenalty",
  no_repeat_ngram_size: "noRepeatNgram",
};

/** One row of sampling_probs over `logits` after `history`. */
async function distribution(
  logits: number[],
  options: GenerateOptions,
  history: readonly number[],
): Promise<Float32Array> {
  const graph = new Graph();
  const vocabulary = logits.length;
  const operands = [
    graph.input("logits", "f32", [1, vocabulary]),
    graph.input("params", "f32", [1, samplingColumns]),
    graph.input("history", "i32", [1, history.length]),
    graph.input("history_len", "i32", [1]),
  ];
  const probs = graph.output("probs", "f32", [1, vocabulary]);
  graph.one("sampling_probs", operands, { into: [probs] });
  using program = new Program(graph);
  using region = Region.create(4 * vocabulary);
  await program.submit({
    inputs: {
      logits: new Float32Array(logits),
      params: samplingRow(resolveSettings(options)),
      history: new Int32Array(history),
      history_len: new Int32Array([history.length]),
    },
    regions: { probs: region },
  });
  return new Float32Array(region.bytes().slice().buffer);
}

function optionsOf(params: Record<string, number>): GenerateOptions {
  const named = Object.entries(params).map(([name, value]) => [optionNames[name]!, value]);
  return { temperature: 1, ...Object.fromEntries(named) };
}

for (const name of Object.keys(expected.logits)) {
  test(`sampling_probs: every reference distribution over "${name}" logits within 1e-6`, async () => {
    for (const { params, kept, probs: want } of expected.cases.filter((c) => c.logits === name)) {
      const logits = expected.logits[name]!;
      const got = [...(await distribution(logits, optionsOf(params), expected.previous_tokens))];
      // Which of equal entries top-p drops is open in the reference, whose sort is not stable.
      const open = name === "ties" && params.top_p !== undefined;
      const [a, b] = open ? [want.toSorted(), got.toSorted()] : [want, got];
      expect(got.filter((p) => p > 0).length).toBe(kept);
      expect(a.map((p) => p === 0)).toEqual(b.map((p) => p === 0));
      const worst = Math.max(...a.map((p, i) => Math.abs(p - b[i]!)));
      expect(worst).toBeLessThanOrEqual(1e-6);
    }
  });
}

const vocabulary = 300;
const steps = 40;

interface Draws {
  seed: bigint;
  sequences?: number;
  options?: GenerateOptions;
  stops?: number[];
  places?: number;
  threads?: number;
}

/** Draws `steps` tokens a sequence from fixed logits; returns them by step, and the history. */
async function draw(
  request: Draws,
): Promise<{ done: number; tokens: number[][]; history: Int32Array }> {
  const { seed, sequences = 1, options = {}, stops = [-1], places = steps + 2 } = request;
  const graph = new Graph();
  const logits = graph.input("logits", "f32", [sequences, vocabulary]);
  const params = graph.input("params", "f32", [sequences, samplingColumns]);
  const random = graph.input("random", "u32", [sequences, 4]);
  const stopTable = graph.input("stops", "i32", [sequences, stops.length]);
  const done = graph.input("done", "i32", [sequences]);
  const ring = graph.output("ring", "i32", [steps, sequences]);
  const state = graph.state("state", 4 * sequences * (places + 1));
  const history = graph.stateValue(state, { dtype: "i32", dims: [sequences, places] });
  const lengths = graph.stateValue(state, {
    dtype: "i32",
    dims: [sequences],
    offset: 4 * sequences * places,
  });
  const probs = graph.one("sampling_probs", [logits, params, history, lengths]);
  const [token, randomNext] = graph.apply("sample", [probs, random], {
    into: [undefined, undefined, history, lengths],
  });
  graph.apply("emit", [token!], { into: [ring] });
  const doneNext = graph.one("stop_when", [token!, stopTable, done]);
  graph.feedback(randomNext!, random);
  graph.feedback(doneNext, done);

  using program = new Program(graph);
  using ringRegion = Region.create(4 * steps * sequences);
  using stateRegion = Region.create(state.size);
  const run: ProgramRun = {
    inputs: {
      logits: Float32Array.from({ length: sequences * vocabulary }, (_, i) =>
        Math.sin((i % vocabulary) * 12.9898),
      ),
      params: repeated(samplingRow(resolveSettings({ temperature: 1, ...options })), sequences),
      random: randomRows(seed, sequences),
      stops: repeated(new Int32Array(stops), sequences),
      done: new Int32Array(sequences),
    },
    regions: { ring: ringRegion, state: stateRegion },
    steps,
    ...(request.threads !== undefined && { threads: request.threads }),
  };
  const stepsDone = await program.submit(run);
  const flat = new Int32Array(ringRegion.bytes().slice().buffer);
  return {
    done: stepsDone,
    tokens: Array.from({ length: stepsDone }, (_, step) => [
      ...flat.subarray(step * sequences, (step + 1) * sequences),
    ]),
    history: new Int32Array(stateRegion.bytes().slice().buffer),
  };
}

function randomRows(seed: bigint, sequences: number): Uint32Array {
  const rows = new Uint32Array(4 * sequences);
  for (let s = 0; s < sequences; s++) rows.set(randomRow(seed, s), 4 * s);
  return rows;
}

function repeated<T extends Float32Array | Int32Array>(row: T, count: number): T {
  const rows = new (row.constructor as new (size: number) => T)(row.length * count);
  for (let index = 0; index < count; index++) rows.set(row, index * row.length);
  return rows;
}

test("sample: the same seed draws the same tokens on any number of threads, another seed others", async () => {
  const first = await draw({ seed: 42n });
  expect(first.done).toBe(steps);
  for (const threads of [1, 2, 3]) {
    expect((await draw({ seed: 42n, threads })).tokens).toEqual(first.tokens);
  }
  expect((await draw({ seed: 43n })).tokens).not.toEqual(first.tokens);
  expect(new Set(first.tokens.flat()).size).toBeGreaterThan(10);
});

test("sample: a sequence draws the same alone as beside others, and each its own", async () => {
  const alone = await draw({ seed: 7n });
  const together = await draw({ seed: 7n, sequences: 3 });
  expect(together.tokens.map((row) => row[0]!)).toEqual(alone.tokens.map((row) => row[0]!));
  expect(together.tokens.map((row) => row[1]!)).not.toEqual(alone.tokens.map((row) => row[0]!));
});

test("sample: the history holds the drawn tokens, and no_repeat_ngram 1 never repeats one", async () => {
  const { tokens, history } = await draw({ seed: 3n, options: { noRepeatNgram: 1 } });
  const drawn = tokens.flat();
  expect([...history.subarray(0, steps)]).toEqual(drawn);
  expect(history[steps + 2]).toBe(steps);
  expect(new Set(drawn).size).toBe(steps);
});

test("stop_when: the run ends in the step that draws a stop token", async () => {
  const free = (await draw({ seed: 11n })).tokens.flat();
  const stop = free[5]!;
  const stopped = await draw({ seed: 11n, stops: [-1, stop] });
  expect(stopped.tokens.flat()).toEqual(free.slice(0, free.indexOf(stop) + 1));
});

test("sampling: logits that are not finite and a full history fail the run by name", async () => {
  const nan = distribution([1, Number.NaN, 2], { temperature: 1 }, []);
  await expect(nan).rejects.toBeInstanceOf(BitNetError);
  await expect(nan).rejects.toMatchObject({ code: "native/run-failed" });
  const full = draw({ seed: 1n, places: 4 });
  await expect(full).rejects.toMatchObject({ code: "native/run-failed" });
});
