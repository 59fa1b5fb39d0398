/**
 * One sequence of tokens with its cache of keys and values. Tokens that are in the cache already
 * are not read again: a chat's next turn costs only what is new.
 */
import { BitNetError } from "../errors/index.ts";
import { type GenerateSettings, randomRow, samplingRow } from "../generate/index.ts";
import { Region } from "../native/index.ts";
import { type EnginePrograms, logitRows, prefillRows, ringSize, stopCount } from "./programs.ts";
import { SessionCache } from "./session-cache.ts";
import type { ThreadCounts } from "./tuning-file.ts";

/** What reading a token takes, until it is known better. */
const secondsPerToken = 0.001;
/** Fewer rows at once take much longer each. */
const rowsToJudge = 16;

export interface DecodeRequest {
  settings: GenerateSettings;
  /** Draws made before, so that a seed's sequence goes on across runs. */
  draws: number;
  steps: number;
  signal: AbortSignal;
  onTokens: (tokens: number[]) => void;
}

export class Session implements Disposable {
  /** Keys and values, for who looks after memory. */
  readonly cache: SessionCache;
  /** Milliseconds of `performance.now()` when it was last given back; set by its model. */
  usedAt = performance.now();
  /** How often it was taken up again. */
  reuseCount = 0;
  readonly #ring: Region;
  readonly #pages: Int32Array;
  readonly #threads: ThreadCounts;
  /** Tokens whose keys and values are in the cache. */
  #cached: number[] = [];
  #read = { tokens: 0, seconds: 0 };

  constructor(
    readonly programs: EnginePrograms,
    /** Of all runs, or by what they do; 0 is the core's own choice. */
    threads: ThreadCounts | number,
  ) {
    this.#threads = typeof threads === "number" ? { decode: threads, prefill: threads } : threads;
    this.cache = new SessionCache(programs.cacheShape);
    this.#ring = Region.create(ringSize * 4);
    this.#pages = Int32Array.from({ length: programs.pageCount }, (_, page) => page);
  }

  /** How many tokens the cache holds. */
  get cachedTokens(): number {
    return this.#cached.length;
  }

  /** How long reading all of them again would take. */
  get costSeconds(): number {
    const { tokens, seconds } = this.#read;
    const perToken = tokens === 0 ? secondsPerToken : seconds / tokens;
    return this.#cached.length * perToken;
  }

  /** How many of these tokens the cache holds already. */
  sharedPrefix(tokens: readonly number[]): number {
    let count = 0;
    while (count < tokens.length && this.#cached[count] === tokens[count]) count += 1;
    return count;
  }

  /** Reads all tokens but the last, which the first decode step takes. */
  async prefill(tokens: readonly number[], signal?: AbortSignal): Promise<void> {
    const end = tokens.length - 1;
    let at = Math.min(this.sharedPrefix(tokens), end);
    this.#cached.length = at;
    const program = this.programs.prefill;
    while (at < end) {
      const count = Math.min(prefillRows, end - at);
      const rows = tokens.slice(at, at + count);
      const start = performance.now();
      await program.submit({
        syms: { rows: count },
        inputs: this.#rowInputs(rows, at),
        regions: { cache: this.cache.open(at, at + count) },
        threads: this.#threads.prefill,
        signal,
      });
      this.#cached.push(...rows);
      at += count;
      if (count < rowsToJudge) continue;
      this.#read.tokens += count;
      this.#read.seconds += (performance.now() - start) / 1000;
    }
  }

  /** Takes up to `steps` steps after `prefill(tokens)`; resolves when the run has ended. */
  async decode(tokens: readonly number[], request: DecodeRequest): Promise<void> {
    const { settings, draws, steps, signal } = request;
    const ring = new Int32Array(this.#ring.bytes().buffer);
    const made: number[] = [];
    const collect = (count: number): void => {
      const fresh = [...ring.subarray(made.length, count)];
      made.push(...fresh);
      if (fresh.length > 0) request.onTokens(fresh);
    };
    const random = randomRow(settings.seed, 0);
    random[random.length - 1] = draws;
    const stops = new Int32Array(stopCount).fill(-1);
    stops.set(settings.stopTokens.slice(0, stopCount));
    const last = tokens.length - 1;
    try {
      await this.programs.decode.submit({
        syms: { steps: ringSize },
        steps,
        inputs: {
          ...this.#rowInputs([tokens[last]!], last),
          params: samplingRow(settings),
          history: Int32Array.from(tokens),
          historyLength: Int32Array.of(tokens.length),
          random,
          stops,
          done: Int32Array.of(0),
          one: Int32Array.of(1),
        },
        regions: { cache: this.cache.open(last, last + steps), ring: this.#ring },
        threads: this.#threads.decode,
        signal,
        onStep: collect,
      });
    } finally {
      // A step that was cut short left nothing behind that is counted.
      if (made.length > 0) this.#cached.push(tokens[last]!, ...made.slice(0, -1));
    }
  }

  /** Logits of all tokens, f32 (tokens, vocabulary), in chunks of at most `chunk` rows. */
  async logits(tokens: readonly number[], options: LogitsOptions): Promise<Float32Array> {
    const { signal } = options;
    const vocabularySize = this.programs.decoder.config.vocabularySize;
    const chunk = checkChunk(options.chunk);
    const result = new Float32Array(tokens.length * vocabularySize);
    using output = Region.create(logitRows * vocabularySize * 4);
    this.#cached = [];
    for (let at = 0; at < tokens.length; at += chunk) {
      const rows = tokens.slice(at, at + chunk);
      await this.programs.logits.submit({
        syms: { rows: rows.length },
        inputs: this.#rowInputs(rows, at),
        regions: { cache: this.cache.open(at, at + rows.length), logits: output },
        threads: this.#threads.prefill,
        signal,
      });
      const bytes = output.bytes(0, rows.length * vocabularySize * 4);
      result.set(new Float32Array(bytes.buffer), at * vocabularySize);
    }
    return result;
  }

  [Symbol.dispose](): void {
    this.cache[Symbol.dispose]();
    this.#ring[Symbol.dispose]();
  }

  #rowInputs(rows: readonly number[], start: number): Record<string, Int32Array> {
    return {
      ids: Int32Array.from(rows),
      positions: Int32Array.from(rows, (_, row) => start + row),
      sequences: new Int32Array(rows.length),
      pages: this.#pages,
    };
  }
}

export interface LogitsOptions {
  /** Rows computed at a time, at most 128; the result is the same for any. */
  chunk?: number;
  signal?: AbortSignal;
}

function checkChunk(chunk = logitRows): number {
  if (Number.isInteger(chunk) && chunk > 0) return Math.min(chunk, logitRows);
  throw new BitNetError("engine/invalid-option", `chunk: want a whole number from 1, got ${chunk}`);
}

/** @throws BitNetError `engine/token-out-of-range` */
export function checkTokens(tokens: ArrayLike<number>, vocabularySize: number): number[] {
  return Array.from(tokens, (token, index) => {
    if (Number.isInteger(token) && token >= 0 && token < vocabularySize) return token;
    throw new BitNetError(
      "engine/token-out-of-range",
      `token ${index} is ${token}: want a whole number from 0 to ${vocabularySize - 1}`,
    );
  });
}
