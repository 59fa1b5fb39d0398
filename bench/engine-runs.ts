/**
 * What the benches of the engine have in common: their options, a model of random weights ready to
 * run, and single runs of decoding and reading a prompt. Imported by the benches; runs nothing.
 */
import { parseArgs } from "node:util";
import { EnginePrograms, Session } from "../src/engine/index.ts";
import { resolveSettings } from "../src/generate/index.ts";
import type { Program, TernaryLayout } from "../src/graph/index.ts";
import { coreInfo } from "../src/native/index.ts";
import { rateOf } from "../src/report/index.ts";
import { type GeometryName, geometries, type RandomModel, randomModel } from "./random-model.ts";
import { refinedShare } from "./refined-share.ts";

/** Tokens of a decode. */
export const decodeTokens = 64;
/** Of a prompt before it: the depths of the decode, 33 to 96, lie around 64. */
const promptTokens = 33;

export interface EngineOptions {
  geometry: GeometryName;
  threads: number;
  precision: "fast" | "exact";
  packing: TernaryLayout;
  json: boolean;
  smoke: boolean;
}

/** Reads the command line; ends the process with a sentence when it makes no sense. */
export function readEngineOptions(): EngineOptions {
  const { values } = parseArgs({
    options: {
      geometry: { type: "string", default: "2b4t" },
      threads: { type: "string", default: "0" },
      precision: { type: "string", default: "fast" },
      packing: { type: "string", default: "tile2" },
      json: { type: "boolean", default: false },
      smoke: { type: "boolean", default: false },
    },
  });
  const { geometry, threads, precision, packing, json, smoke } = values;
  if (geometry !== "2b4t" && geometry !== "110m") refuse("geometry", "2b4t or 110m", geometry);
  if (precision !== "fast" && precision !== "exact") {
    refuse("precision", "fast or exact", precision);
  }
  if (packing !== "tile2" && packing !== "tile3") refuse("packing", "tile2 or tile3", packing);
  return {
    geometry: smoke ? "smoke" : geometry,
    threads: readThreads(threads),
    precision,
    packing,
    json,
    smoke,
  };
}

/** A thread count from the command line; "0" is the core's own choice. */
export function readThreads(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) > 64) refuse("threads", "1 to 64", text);
  return Number(text) || coreInfo().threads;
}

function refuse(option: string, wanted: string, came: string): never {
  console.error(`--${option}: want ${wanted}, got ${came}`);
  process.exit(2);
}

/** A model with compiled Programs and one session. */
export class EngineRuns implements Disposable {
  readonly decodeProgram: Program;
  readonly prefillProgram: Program;
  readonly #model: RandomModel;
  readonly #programs: EnginePrograms;
  readonly #session: Session;

  constructor({ geometry, threads, precision, packing }: EngineOptions) {
    const config = geometries[geometry];
    this.#model = randomModel(config, { precision, packing });
    const { contextLength } = config;
    this.#programs = new EnginePrograms(this.#model.decoder, { contextLength, precision });
    this.decodeProgram = this.#programs.decode;
    this.prefillProgram = this.#programs.prefill;
    this.#session = new Session(this.#programs, threads);
  }

  /** Tokens a second over `decodeTokens` greedy ones, sampling included. */
  async decode(): Promise<number> {
    const tokens = this.#model.ids(promptTokens);
    const request = {
      settings: resolveSettings({ temperature: 0, seed: 1 }),
      draws: 0,
      steps: decodeTokens,
      signal: new AbortController().signal,
    };
    await this.#session.prefill(tokens);
    let made = 0;
    const onTokens = (fresh: number[]): void => {
      made += fresh.length;
    };
    const rate = await rateOf(decodeTokens, () =>
      this.#session.decode(tokens, { ...request, onTokens }),
    );
    if (made !== decodeTokens) throw new Error(`want ${decodeTokens} tokens, got ${made}`);
    return rate;
  }

  /** Bytes that a greedy step reads at a depth. */
  async bytesPerToken(depth: number): Promise<number> {
    const { decoder, ids } = this.#model;
    return this.decodeProgram.bytesRead({}, depth, await refinedShare(decoder, ids(16)));
  }

  /** Tokens a second while `count` of them are written to an empty cache. */
  async prefill(count: number): Promise<number> {
    // The last token of a prompt is the first decode step's.
    const tokens = this.#model.ids(count + 1);
    // None of them may be in the cache already.
    while (this.#session.sharedPrefix(tokens) > 0) tokens[0] = this.#model.ids(1)[0]!;
    return rateOf(count, () => this.#session.prefill(tokens));
  }

  [Symbol.dispose](): void {
    this.#session[Symbol.dispose]();
    this.#programs[Symbol.dispose]();
    this.#model[Symbol.dispose]();
  }
}
