/**
 * The Programs of one model and precision: reading a prompt, taking decode steps with sampling,
 * and logits of every row. All work on one cache of keys and values, for one sequence.
 */
import {
  Graph,
  Profile,
  type ProfileOptions,
  Program,
  Sym,
  samplingColumns,
  type Value,
} from "../graph/index.ts";
import type { Decoder } from "../models/index.ts";
import { pagePositions, RandomWord } from "../native/index.ts";
import { type CacheShape, cacheSize, type Places } from "../nn/index.ts";

/** Rows that one step of reading a prompt takes at most. */
export const prefillRows = 256;
/** Rows that logits are computed for at a time. */
export const logitRows = 128;
/** Tokens that one native run makes at most. */
export const ringSize = 64;
/** Stop tokens that the core looks for by itself; any beyond are seen between steps. */
export const stopCount = 16;

const randomWords = Object.keys(RandomWord).length;

export interface EngineShape {
  contextLength: number;
  precision: "exact" | "fast";
}

export class EnginePrograms implements Disposable {
  readonly cacheShape: CacheShape;
  readonly pageCount: number;
  readonly #compiled = new Map<string, Program>();
  #compileSeconds = 0;
  #profiling: ProfileOptions | undefined;

  constructor(
    readonly decoder: Decoder,
    readonly shape: EngineShape,
  ) {
    const { layerCount, groupCount, headWidth } = decoder.config;
    this.pageCount = Math.ceil(shape.contextLength / pagePositions);
    this.cacheShape = {
      layerCount,
      groupCount,
      headWidth,
      pageCount: this.pageCount,
      dtype: shape.precision === "exact" ? "f32" : "f16",
    };
  }

  /** Working memory of what is compiled. */
  get arenaSize(): number {
    return [...this.#compiled.values()].reduce((sum, { memory }) => sum + memory.arena, 0);
  }

  /** What compiling it took. */
  get compileSeconds(): number {
    return this.#compileSeconds;
  }

  /** Writes keys and values of up to `prefillRows` tokens; nothing comes out. */
  get prefill(): Program {
    return this.#compile("prefill", (graph) => {
      this.#forward(graph, new Sym("rows", prefillRows, 1));
    });
  }

  /** One token in, one out, fed back: up to `ringSize` steps in a run. */
  get decode(): Program {
    return this.#compile("decode", (graph) => this.#recordDecode(graph));
  }

  /** Logits of every row, in the precision of the checkpoint, into the output "logits". */
  get logits(): Program {
    return this.#compile("logits", (graph) => {
      const rows = new Sym("rows", logitRows, 1);
      const { x } = this.#forward(graph, rows);
      const logits = graph.output("logits", "f32", [rows, this.decoder.config.vocabularySize]);
      this.decoder.head(graph, x, { precision: this.shape.precision, into: logits });
    });
  }

  /** Takes the time of every instruction from now on. */
  startProfile(options: ProfileOptions = {}): void {
    this.#profiling = options;
    for (const program of this.#compiled.values()) program.startProfile(options);
  }

  /** What runs since `startProfile` spent their time on. */
  profile(): Profile {
    const measured = [...this.#compiled].flatMap(([name, program]) => program.profile(name) ?? []);
    return new Profile(measured);
  }

  /** Ends what is compiled; it is compiled again when it is asked for. */
  clear(): void {
    for (const program of this.#compiled.values()) program[Symbol.dispose]();
    this.#compiled.clear();
    this.#compileSeconds = 0;
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #compile(name: string, record: (graph: Graph) => void): Program {
    let program = this.#compiled.get(name);
    if (!program) {
      const start = performance.now();
      const graph = new Graph();
      record(graph);
      program = new Program(graph);
      if (this.#profiling) program.startProfile(this.#profiling);
      this.#compiled.set(name, program);
      this.#compileSeconds += (performance.now() - start) / 1000;
    }
    return program;
  }

  #forward(graph: Graph, rows: Sym | number): { x: Value; ids: Value; places: Places } {
    const ids = graph.input("ids", "i32", [rows]);
    const places = {
      positions: graph.input("positions", "i32", [rows]),
      sequences: graph.input("sequences", "i32", [rows]),
      pages: graph.input("pages", "i32", [1, this.pageCount]),
    };
    const cache = graph.state("cache", cacheSize(this.cacheShape));
    const x = this.decoder.forward(graph, { ids, places, cache, cacheShape: this.cacheShape });
    return { x, ids, places };
  }

  #recordDecode(graph: Graph): void {
    const { contextLength, precision } = this.shape;
    const { x, ids, places } = this.#forward(graph, 1);
    const params = graph.input("params", "f32", [1, samplingColumns]);
    const history = graph.input("history", "i32", [1, contextLength + 1]);
    const historyLength = graph.input("historyLength", "i32", [1]);
    const random = graph.input("random", "u32", [1, randomWords]);
    const stops = graph.input("stops", "i32", [1, stopCount]);
    const done = graph.input("done", "i32", [1]);
    const one = graph.input("one", "i32", [1]);

    const sampling = { params, history, lengths: historyLength };
    const logits = this.decoder.head(graph, x, { precision, sampling });
    const probs = graph.one("sampling_probs", [logits, params, history, historyLength]);
    const [token, randomNext] = graph.apply("sample", [probs, random], {
      into: [undefined, undefined, history, historyLength],
    }) as [Value, Value];
    graph.apply("emit", [token], {
      into: [graph.output("ring", "i32", [new Sym("steps", ringSize, 1), 1])],
    });
    graph.feedback(graph.one("stop_when", [token, stops, done]), done);
    graph.feedback(randomNext, random);
    graph.feedback(graph.one("add", [places.positions, one]), places.positions);
    graph.feedback(token, ids);
  }
}
