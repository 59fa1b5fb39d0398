/**
 * Which blocks products are fastest with here, by class of product: the ternary one of many tokens,
 * on a narrow and a wide matrix, and the dense one. Every size is tried beside the core's own, in
 * turns, and taken where it is clearly faster on all matrices of its class together.
 */
import { Graph, Program } from "../graph/index.ts";
import { type BlockSizes, Region, setBlockSizes } from "../native/index.ts";
import { bestRates, type Measurable, Product, touchedRegion } from "./packing-trial.ts";
import { blockCandidates } from "./tuning-file.ts";

/** Less is noise. */
const gainMin = 1.03;
const tokens = 512;
/** Of the ternary weights, in bytes at the most. */
const weightsSize = 4 << 20;
const denseSize = 1024;

/** What one size of blocks does, beside the core's own choice. */
export interface BlockTrial {
  name: keyof BlockSizes;
  /** By size: how many times as fast as the core's own. */
  gains: Readonly<Record<number, number>>;
  /** The size that is taken, if any. */
  chosen: BlockSizes;
}

export interface BlockTrialOptions {
  threads: number;
  /** For each size's trial, about. */
  seconds: number;
  /** Bytes of ternary weights; for tests. */
  size?: number | undefined;
}

/** Leaves the core with its own choice. */
export async function measureBlocks(options: BlockTrialOptions): Promise<BlockTrial[]> {
  const { size = weightsSize } = options;
  using weights = touchedRegion(size);
  using narrow = new Product(weights, { packing: "tile3", tokens, size });
  using wide = new Product(weights, { packing: "tile3", tokens, size, inputs: 6912 });
  using dense = new DenseProduct(size < weightsSize ? 64 : denseSize);
  const trials: BlockTrial[] = [];
  let before: BlockSizes = {};
  for (const [name, subjects] of [
    ["ternaryColumns", [narrow, wide]],
    ["ternarySize", [narrow, wide]],
    ["denseColumns", [dense]],
  ] as const) {
    const trial = await tryBlocks(name, before, { ...options, subjects });
    trials.push(trial);
    before = { ...before, ...trial.chosen };
  }
  return trials;
}

/** Tries the sizes of one name, with those `before` it as they were chosen. */
async function tryBlocks(
  name: keyof BlockSizes,
  before: BlockSizes,
  { threads, seconds, subjects }: BlockTrialOptions & { subjects: readonly Measurable[] },
): Promise<BlockTrial> {
  const sizes = [0, ...blockCandidates[name]];
  const blocked = sizes.flatMap((size) =>
    subjects.map((subject) => ({
      rate: async (count: number): Promise<number> => {
        setBlockSizes({ ...before, [name]: size });
        return await subject.rate(count);
      },
    })),
  );
  try {
    const rates = await bestRates(blocked, { threads, seconds: seconds * sizes.length });
    const speeds = sizes.map((_, index) => {
      const own = rates.slice(index * subjects.length, (index + 1) * subjects.length);
      return own.reduce((product, rate) => product * rate, 1) ** (1 / own.length);
    });
    const gains = Object.fromEntries(
      sizes.slice(1).map((size, i) => [size, speeds[i + 1]! / speeds[0]!]),
    );
    const best = Math.max(...Object.values(gains));
    const size = Number(Object.keys(gains).find((key) => gains[Number(key)] === best));
    return { name, gains, chosen: best >= gainMin ? { [name]: size } : {} };
  } finally {
    setBlockSizes({});
  }
}

/** A Program of one dense product of square f32 matrices. */
class DenseProduct implements Disposable, Measurable {
  readonly #program: Program;
  readonly #regions: readonly [Region, Region];
  readonly #size: number;

  constructor(size: number) {
    const bytes = 4 * size * size;
    const factors = touchedRegion(2 * bytes);
    const graph = new Graph();
    const factor = (offset: number) =>
      graph.constant({
        region: factors,
        offset,
        dtype: "f32",
        layout: "strided",
        shape: [size, size],
      });
    const into = [graph.output("c", "f32", [size, size])];
    graph.one("matmul", [factor(0), factor(bytes)], { into });
    this.#program = new Program(graph);
    this.#regions = [factors, Region.create(bytes)];
    this.#size = size;
  }

  /** Multiply-adds a second of one pass. */
  async rate(threads: number): Promise<number> {
    const start = performance.now();
    await this.#program.submit({ regions: { c: this.#regions[1] }, threads });
    return (this.#size ** 3 * 1000) / Math.max(1e-3, performance.now() - start);
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
    for (const region of this.#regions) region[Symbol.dispose]();
  }
}
