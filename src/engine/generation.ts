/**
 * A generation under way: an async iterable of pieces. The core makes tokens ahead of the reader by
 * at most one run; leaving the loop ends the run.
 */
import { BitNetError } from "../errors/index.ts";
import {
  type FinishReason,
  type GenerateSettings,
  type Piece,
  StopScanner,
} from "../generate/index.ts";
import type { Tokenizer } from "../text/index.ts";
import { ringSize } from "./programs.ts";
import type { Session } from "./session.ts";

/** What a generation took. Seconds count from the first look at the pieces. */
export interface GenerationStats {
  promptTokens: number;
  /** Reading the prompt. */
  promptSeconds: number;
  tokens: number;
  /** Making the tokens, without reading the prompt. */
  seconds: number;
  firstTokenSeconds: number;
}

export interface GenerationContext {
  tokens: readonly number[];
  settings: GenerateSettings;
  tokenizer: Tokenizer;
  contextLength: number;
  /** A session of this generation's own until `release`. */
  acquire: (tokens: readonly number[]) => Session;
  release: (session: Session) => void;
}

export class Generation implements AsyncIterable<Piece> {
  readonly stats: GenerationStats;
  readonly #context: GenerationContext;
  readonly #abort = new AbortController();
  #started = false;
  /** The native work under way. */
  #work: Promise<unknown> | undefined;

  constructor(context: GenerationContext) {
    this.#context = context;
    this.stats = {
      promptTokens: context.tokens.length,
      promptSeconds: 0,
      tokens: 0,
      seconds: 0,
      firstTokenSeconds: 0,
    };
  }

  /** All of the text. */
  async text(): Promise<string> {
    let text = "";
    for await (const piece of this) text += piece.text;
    return text;
  }

  /** Ends the generation: its last piece says "aborted". */
  abort(): void {
    this.#abort.abort();
  }

  /** Aborts and waits for the core, not for the reader, who may have left without a word. */
  async end(): Promise<void> {
    this.abort();
    await this.#work?.catch(() => {});
  }

  /** @throws BitNetError `engine/already-read`: the pieces come once. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Piece, void> {
    if (this.#started) {
      throw new BitNetError("engine/already-read", "a generation's pieces can be read once");
    }
    this.#started = true;
    const { tokens, settings, acquire, release } = this.#context;
    const outer = settings.signal;
    const forward = (): void => this.#abort.abort();
    outer?.addEventListener("abort", forward, { once: true });
    if (outer?.aborted) forward();
    const session = acquire(tokens);
    try {
      yield* this.#pieces(session);
    } finally {
      outer?.removeEventListener("abort", forward);
      release(session);
    }
  }

  async *#pieces(session: Session): AsyncGenerator<Piece, void> {
    const { settings, tokenizer, tokens } = this.#context;
    const decoder = tokenizer.stream({ context: tokens });
    const scanner = new StopScanner(settings.stop);
    let reason: FinishReason = "length";
    let left = settings.maxTokens;
    const source = this.#tokens(session, left);
    try {
      for await (const token of source) {
        this.stats.tokens += 1;
        left -= 1;
        if (settings.stopTokens.includes(token)) {
          reason = "stop";
          yield {
            text: scanner.push(decoder.flush()) + scanner.finish(),
            token,
            finishReason: reason,
          };
          return;
        }
        const text = scanner.push(decoder.push(token));
        if (scanner.found !== null) {
          yield { text, token, finishReason: "stop" };
          return;
        }
        if (left === 0) {
          const rest = scanner.push(decoder.flush()) + scanner.finish();
          yield { text: text + rest, token, finishReason: "length" };
          return;
        }
        yield { text, token, finishReason: null };
      }
    } finally {
      await source.return();
    }
    if (this.#abort.signal.aborted) reason = "aborted";
    const rest = scanner.push(decoder.flush()) + scanner.finish();
    yield { text: rest, token: null, finishReason: scanner.found === null ? reason : "stop" };
  }

  /** Tokens until the limit, a stop token, the end of the context, or an abort. */
  async *#tokens(session: Session, limit: number): AsyncGenerator<number, void> {
    const { settings, contextLength } = this.#context;
    let tokens = [...this.#context.tokens];
    let made = 0;
    const start = performance.now();
    const signal = this.#abort.signal;
    while (made < limit && !signal.aborted) {
      if (tokens.length > contextLength) {
        if (!settings.slide) return;
        tokens = tokens.slice(-Math.max(1, Math.floor(contextLength / 2)));
      }
      const prefill = session.prefill(tokens, signal);
      this.#work = prefill;
      if (!(await quietly(prefill, signal))) return;
      if (made === 0) this.stats.promptSeconds = (performance.now() - start) / 1000;
      const room = contextLength - tokens.length + 1;
      const steps = Math.min(ringSize, room, limit - made);
      const run = this.#run(session, { tokens, draws: made, steps });
      let ended = false;
      for await (const token of run) {
        made += 1;
        const seconds = (performance.now() - start) / 1000;
        if (made === 1) this.stats.firstTokenSeconds = seconds;
        this.stats.seconds = seconds - this.stats.promptSeconds;
        tokens.push(token);
        ended = settings.stopTokens.includes(token);
        yield token;
        if (ended) return;
      }
    }
  }

  /** The tokens of one native run, as they come. Leaving early cancels it and waits for it. */
  async *#run(
    session: Session,
    { tokens, draws, steps }: { tokens: readonly number[]; draws: number; steps: number },
  ): AsyncGenerator<number, void> {
    const own = new AbortController();
    const signal = AbortSignal.any([this.#abort.signal, own.signal]);
    const queue: number[] = [];
    let wake = (): void => {};
    let failure: unknown;
    let running = true;
    const settings = this.#context.settings;
    const onTokens = (fresh: number[]): void => {
      queue.push(...fresh);
      wake();
    };
    const run = session
      .decode([...tokens], { settings, draws, steps, signal, onTokens })
      .catch((error: unknown) => {
        if (!isAbort(error)) failure = error;
      })
      .finally(() => {
        running = false;
        wake();
      });
    this.#work = run;
    try {
      while (true) {
        while (queue.length > 0) yield queue.shift()!;
        if (!running) break;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (failure) throw failure;
    } finally {
      own.abort();
      await run;
    }
  }
}

/** True when done, false when aborted; other errors go on. */
async function quietly(work: Promise<void>, signal: AbortSignal): Promise<boolean> {
  try {
    await work;
    return !signal.aborted;
  } catch (error) {
    if (isAbort(error)) return false;
    throw error;
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof BitNetError && error.code === "native/aborted";
}
