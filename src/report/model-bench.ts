/**
 * A model's speed as people compare it: reading prompts (pp) and generating (tg), in turns, with
 * the machine's limits measured between and what share of them is reached:
 *
 *   tg   tokens/s * bytes a token reads at its mean depth / bytes/s that memory gives
 *   pp   tokens/s * 2 * weights of the matrices           / int8 operations/s
 */
import { basename } from "node:path";
import { inspectModel, type LoadOptions, loadModel, type Model, Session } from "../engine/index.ts";
import { BitNetError } from "../errors/index.ts";
import { resolveSettings } from "../generate/index.ts";
import { matrixRoles, matrixShape } from "../models/index.ts";
import { coreInfo, probeMachine } from "../native/index.ts";
import { measureRounds, rateOf, type Task } from "./rounds.ts";
import { type Summary, summarize } from "./statistics.ts";

export interface ModelBenchOptions {
  /** Tokens of the prompts that are read, and of what is generated. */
  prompts: readonly number[];
  generations: readonly number[];
  /** Tokens in the cache before each test. */
  depths: readonly number[];
  /** 0 stands for what a load takes by itself. */
  threads: readonly number[];
  repetitions: number;
  load?: Omit<LoadOptions, "contextLength" | "threads" | "signal">;
  signal: AbortSignal;
  /** Runs so far. */
  onProgress?: (done: number, total: number) => void;
}

/** One line of the table. */
export interface BenchTest {
  /** `pp512`, `tg128`, `tg128 @ d2048`. */
  test: string;
  prompt: number;
  generation: number;
  depth: number;
  threads: number;
  tokensPerSecond: Summary;
  samples: number[];
  limit: "memory" | "int8";
  /** Share of the limit, from 0. */
  limitShare: number;
}

export interface ModelBench {
  /** The file or folder, and what it holds. */
  name: string;
  family: string;
  fileBytes: number;
  parameters: number;
  precision: "fast" | "exact";
  packing: string;
  heads: number;
  keyValueHeads: number;
  loadSeconds: number;
  /** By threads. */
  limits: Record<number, { read: Summary; int8: Summary }>;
  tests: BenchTest[];
}

/** Of a head that is screened, rows whose low plane is read: about what models need. */
const refinedShare = 0.02;
/** Tokens of one native run. */
const stepsMax = 64;
const probeSeconds = 0.1;

/** Loads a model and measures it. @throws BitNetError as `loadModel`; the signal's reason */
export async function benchModel(path: string, options: ModelBenchOptions): Promise<ModelBench> {
  const { prompts, generations, depths, load, signal } = options;
  const limit = (await inspectModel(path, load)).contextLength;
  const depthMax = Math.max(0, ...depths);
  // What does not fit is shortened, and the test has the name of what it does.
  const fit = (counts: readonly number[]): number[] => [
    ...new Set(counts.map((count) => Math.min(count, limit - depthMax - 1))),
  ];
  const fitting = { ...options, prompts: fit(prompts), generations: fit(generations) };
  const longest = Math.max(1, ...fitting.prompts, ...fitting.generations);
  const contextLength = depthMax + longest + 1;
  const start = performance.now();
  await using model = await loadModel(path, { ...load, contextLength, signal });
  const loadSeconds = (performance.now() - start) / 1000;
  using runs = new BenchRuns(model, fitting);
  const { tests, limits } = await runs.measure();
  const { info, packing } = model;
  return {
    name: basename(info.path),
    family: info.architecture,
    fileBytes: info.fileBytes,
    parameters: info.parameters,
    precision: load?.precision ?? "fast",
    packing,
    heads: info.heads,
    keyValueHeads: info.keyValueHeads,
    loadSeconds,
    limits,
    tests,
  };
}

interface Measurement {
  tests: BenchTest[];
  limits: ModelBench["limits"];
}

type TestPlan = Pick<BenchTest, "test" | "prompt" | "generation" | "depth" | "threads">;

class BenchRuns implements Disposable {
  readonly #sessions = new Map<number, Session>();
  #state = 1;

  constructor(
    readonly model: Model,
    readonly options: ModelBenchOptions,
  ) {}

  async measure(): Promise<Measurement> {
    const { repetitions, signal, onProgress } = this.options;
    const plans = this.#plans();
    const threadCounts = [...new Set(plans.map(({ threads }) => threads))];
    const samples = new Map<TestPlan, number[]>(plans.map((plan) => [plan, []]));
    let done = 0;
    const total = plans.length * (repetitions + 1);
    const tasks: Record<string, Task> = {};
    for (const threads of threadCounts) {
      const probe = { threads, seconds: probeSeconds };
      tasks[`read ${threads}`] = () => probeMachine("read_bytes_per_second", probe);
      tasks[`int8 ${threads}`] = () => probeMachine("int8_ops_per_second", probe);
    }
    for (const plan of plans) {
      // The first run touches the memory.
      await this.#run(plan);
      onProgress?.(++done, total);
      tasks[`${plan.test} ${plan.threads}`] = async () => {
        signal.throwIfAborted();
        const rate = await this.#run(plan);
        samples.get(plan)!.push(rate);
        onProgress?.(++done, total);
        return rate;
      };
    }
    const measured = await measureRounds(tasks, repetitions);
    const limits: ModelBench["limits"] = {};
    for (const threads of threadCounts) {
      limits[threads] = { read: measured[`read ${threads}`]!, int8: measured[`int8 ${threads}`]! };
    }
    const tests = plans.map((plan) => this.#test(plan, samples.get(plan)!, limits));
    return { tests, limits };
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions.values()) session[Symbol.dispose]();
  }

  #plans(): TestPlan[] {
    const { prompts, generations, depths, threads } = this.options;
    const plans: TestPlan[] = [];
    const wanted = [...prompts, ...generations];
    if (wanted.length === 0 || Math.min(...wanted) < 1) {
      throw new BitNetError(
        "engine/invalid-option",
        `bench: want at least one token to read or generate in a context of ` +
          `${this.model.info.contextLength}, got depth ${Math.max(0, ...depths)} and ` +
          `${wanted.length === 0 ? "neither" : wanted.join(", ")}`,
      );
    }
    for (const count of new Set(threads.map((one) => one || coreInfo().threads))) {
      for (const depth of depths) {
        const at = depth === 0 ? "" : ` @ d${depth}`;
        const common = { depth, threads: count };
        for (const prompt of prompts) {
          plans.push({ test: `pp${prompt}${at}`, prompt, generation: 0, ...common });
        }
        for (const generation of generations) {
          plans.push({ test: `tg${generation}${at}`, prompt: 0, generation, ...common });
        }
      }
    }
    return plans;
  }

  /** Tokens a second. */
  async #run(plan: TestPlan): Promise<number> {
    const { prompt, generation, depth, threads } = plan;
    let session = this.#sessions.get(threads);
    if (!session) {
      session = new Session(this.model.programs, threads);
      this.#sessions.set(threads, session);
    }
    const { signal } = this.options;
    const tokens = this.#fixed(depth);
    // A prompt's last token is not read but begins the generation.
    await session.prefill([...tokens, 0], signal);
    if (prompt > 0) {
      const fresh = [...tokens, ...this.#random(prompt), 0];
      return rateOf(prompt, () => session.prefill(fresh, signal));
    }
    tokens.push(...this.#random(1));
    return rateOf(generation, () => this.#generate(session, tokens, generation));
  }

  async #generate(session: Session, tokens: number[], count: number): Promise<void> {
    const { signal } = this.options;
    const settings = resolveSettings({ temperature: 0, seed: 1 });
    for (let made = 0; made < count; ) {
      const steps = Math.min(stepsMax, count - made);
      const onTokens = (fresh: number[]): void => {
        made += fresh.length;
        tokens.push(...fresh);
      };
      await session.decode(tokens, { settings, draws: made, steps, signal, onTokens });
    }
  }

  #test(plan: TestPlan, samples: number[], limits: ModelBench["limits"]): BenchTest {
    const tokensPerSecond = summarize(samples);
    const { read, int8 } = limits[plan.threads]!;
    const { decode, decoder } = this.model.programs;
    const rate = tokensPerSecond.median;
    if (plan.prompt > 0) {
      const weights = matrixRoles.reduce((sum, role) => {
        const [rows, columns] = matrixShape(decoder.config, role);
        return sum + rows * columns;
      }, 0);
      const limitShare = (rate * 2 * decoder.config.layerCount * weights) / int8.median;
      return { ...plan, tokensPerSecond, samples, limit: "int8", limitShare };
    }
    const depth = plan.depth + (plan.generation + 1) / 2;
    const limitShare = (rate * decode.bytesRead({}, depth, refinedShare)) / read.median;
    return { ...plan, tokensPerSecond, samples, limit: "memory", limitShare };
  }

  /** The same tokens each time, so that a depth is reached once and kept. */
  #fixed(count: number): number[] {
    return Array.from({ length: count }, (_, index) => this.#token(Math.imul(index, 7919) >>> 0));
  }

  #random(count: number): number[] {
    return Array.from({ length: count }, () => {
      this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
      return this.#token(this.#state >>> 8);
    });
  }

  #token(value: number): number {
    return value % this.model.info.vocabularySize;
  }
}
