/**
 * The products that machines are tuned by: one token by more weights than a cache holds, in each
 * packing, and many tokens by a layer's weights. Rates are the best of a few passes in turns, so
 * that what else the machine does meanwhile disturbs all alike. What the weights are does not
 * matter for speed.
 */
import {
  Graph,
  Program,
  type ProgramRun,
  packedSize,
  type TernaryLayout,
  tileRows,
} from "../graph/index.ts";
import { Region } from "../native/index.ts";
import type { PackingRates } from "./tuning-file.ts";

const inputsDefault = 2560;
/** Larger than the last-level caches of today. */
const decodeSize = 128 << 20;
const prefillTokens = 128;
const prefillOutputs = 6912;
const pageSize = 4096;

const packings = ["tile2", "tile3"] as const;

export interface TrialOptions {
  /** 0 is the core's own choice. */
  threads: number;
  /** Passes go on for about so long; each is done once at least. */
  seconds: number;
  /** Bytes of weights; for tests. */
  size?: number;
}

/** Weights a second of one token, by packing. */
export async function measureDecode(options: TrialOptions): Promise<PackingRates> {
  const { size = decodeSize } = options;
  using weights = touchedRegion(size);
  using decode2 = new Product(weights, { packing: "tile2", tokens: 1, size });
  using decode3 = new Product(weights, { packing: "tile3", tokens: 1, size });
  const [tile2, tile3] = await bestRates([decode2, decode3], options);
  return { tile2: tile2!, tile3: tile3! };
}

/** Multiply-adds a second of many tokens, the slower packing's. */
export async function measurePrefill(options: TrialOptions): Promise<number> {
  const { size = prefillOutputs * inputsDefault } = options;
  using weights = touchedRegion(size);
  using product = new Product(weights, { packing: "tile3", tokens: prefillTokens, size });
  const [rate] = await bestRates([product], options);
  return rate!;
}

/** What can be measured again and again. */
export interface Measurable {
  /** Operations a second of one pass. */
  rate(threads: number): Promise<number>;
}

/** The best rate of each, of passes in turns for the time given. */
export async function bestRates(
  subjects: readonly Measurable[],
  { threads, seconds }: TrialOptions,
): Promise<number[]> {
  const best = subjects.map(() => 0);
  // The first pass touches the outputs' memory.
  for (const subject of subjects) await subject.rate(threads);
  const end = performance.now() + seconds * 1000;
  do {
    for (const [index, subject] of subjects.entries()) {
      best[index] = Math.max(best[index]!, await subject.rate(threads));
    }
  } while (performance.now() < end);
  return best;
}

/** Zeros, which are weights of -1 in either packing, in pages that are really there. */
export function touchedRegion(size: number): Region {
  const region = Region.create(size);
  const bytes = region.bytes();
  for (let at = 0; at < size; at += pageSize) bytes[at] = 0;
  return region;
}

interface ProductShape {
  packing: (typeof packings)[number];
  tokens: number;
  /** Bytes of weights to use at most. */
  size: number;
  inputs?: number;
}

/** A Program of one ternary product. */
export class Product implements Disposable, Measurable {
  readonly #program: Program;
  readonly #run: ProgramRun;
  readonly #scales: Region;
  readonly #y: Region;
  readonly #work: number;

  constructor(region: Region, shape: ProductShape) {
    const { packing, tokens, size, inputs = inputsDefault } = shape;
    const blockSize = packedSize(packing, tileRows, inputs);
    const outputs = Math.max(1, Math.floor(size / blockSize)) * tileRows;
    this.#work = tokens * outputs * inputs;
    this.#scales = Region.create(outputs * 4);
    this.#y = Region.create(tokens * outputs * 4);
    const graph = new Graph();
    const scale = { region: this.#scales, offset: 0, dtype: "f32", layout: "strided" } as const;
    const layout: TernaryLayout = packing;
    const operands = [
      graph.input("x", "i8", [tokens, inputs]),
      graph.input("a", "f32", [tokens]),
      graph.constant({
        region,
        offset: 0,
        dtype: "i8",
        layout,
        shape: [outputs, inputs],
        rowScale: { ...scale, shape: [outputs] },
      }),
    ];
    const into = [graph.output("y", "f32", [tokens, outputs])];
    graph.apply("ternary_matmul", operands, { attrs: { has_bias: 0, has_residual: 0 }, into });
    this.#program = new Program(graph);
    const x = new Int8Array(tokens * inputs).fill(3);
    const a = new Float32Array(tokens).fill(1);
    this.#run = { inputs: { x, a }, regions: { y: this.#y } };
  }

  /** Multiply-adds a second of one pass. */
  async rate(threads: number): Promise<number> {
    const start = performance.now();
    await this.#program.submit({ ...this.#run, threads });
    return (this.#work * 1000) / Math.max(1e-3, performance.now() - start);
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
    this.#scales[Symbol.dispose]();
    this.#y[Symbol.dispose]();
  }
}
