/**
 * What watching every block costs the engine: decodes of the bundled model at level standard beside
 * decodes at level none.
 *
 * Two processes, one a level, decode in turns, so that a slow moment of the machine meets both; a
 * pair's cost is the median over its turns of the ratio of their times. Where a process's memory
 * lies makes it faster or slower by more than watching does: hence many pairs. What they cannot
 * resolve is counted: blocks of a decode times what watching adds to one.
 */
import { join } from "node:path";
import { summarize } from "../src/report/index.ts";
import type { Decode } from "./memory-child.ts";

export interface TrackingCost {
  /** Of the time without, in hundredths: the median of the pairs and the quartiles around it. */
  overheadPercent: number;
  overheadQuartilesPercent: [number, number];
  /** The same by count: blocks times nanoseconds. */
  countedPercent: number;
  blocksPerDecode: number;
}

export interface TrackingOptions {
  /** Of processes. */
  pairs: number;
  /** Decodes of each process that count. */
  turns: number;
  /** What watching adds to an allocation and its free. */
  nsPerBlock: number;
}

const levels = ["none", "standard"] as const;

export async function measureTracking(options: TrackingOptions): Promise<TrackingCost> {
  const costs: number[] = [];
  const plain: Decode[] = [];
  for (let pair = 0; pair < options.pairs; pair += 1) {
    const turns = await decodeInTurns(options.turns);
    const ratios = turns.map(({ none, standard }) => standard.milliseconds / none.milliseconds);
    costs.push((summarize(ratios).median - 1) * 100);
    plain.push(...turns.map(({ none }) => none));
  }
  costs.sort((a, b) => a - b);
  const at = (part: number): number => costs[Math.round((costs.length - 1) * part)]!;
  const blocks = summarize(plain.map((decode) => decode.blocks)).median;
  const nanoseconds = summarize(plain.map((decode) => decode.milliseconds)).median * 1e6;
  return {
    overheadPercent: summarize(costs).median,
    overheadQuartilesPercent: [at(0.25), at(0.75)],
    countedPercent: ((blocks * options.nsPerBlock) / nanoseconds) * 100,
    blocksPerDecode: blocks,
  };
}

type Turn = Record<(typeof levels)[number], Decode>;

/** Decodes of one pair of processes, whoever begins taking turns too. */
async function decodeInTurns(count: number): Promise<Turn[]> {
  await using none = new Decoder("none");
  await using standard = new Decoder("standard");
  const decoders = { none, standard };
  // The first loads the model.
  for (const level of levels) await decoders[level].decode();
  const turns: Turn[] = [];
  for (let number = 0; number < count; number += 1) {
    const turn: Partial<Turn> = {};
    for (const level of number % 2 === 0 ? levels : levels.toReversed()) {
      turn[level] = await decoders[level].decode();
    }
    turns.push(turn as Turn);
  }
  return turns;
}

/** A process that decodes when it is asked to. */
class Decoder implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  #answer: PromiseWithResolvers<Decode> = Promise.withResolvers();

  constructor(level: (typeof levels)[number]) {
    const script = join(import.meta.dir, "memory-child.ts");
    this.#child = Bun.spawn([process.execPath, script, "decode"], {
      env: { ...process.env, BITNET_MEMORY_TRACKING: level },
      stdio: ["ignore", "ignore", "inherit"],
      ipc: (answer) => this.#answer.resolve(answer as Decode),
      onExit: (_, code) => this.#answer.reject(new Error(`a decoding process ended with ${code}`)),
    });
  }

  async decode(): Promise<Decode> {
    this.#answer = Promise.withResolvers();
    this.#child.send("decode");
    return this.#answer.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#answer.promise.catch(() => {});
    this.#child.kill();
    await this.#child.exited;
  }
}
