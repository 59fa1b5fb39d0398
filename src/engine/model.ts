/** A loaded model: generates, gives logits, chats. Owns its weights, Programs and sessions. */
import { BitNetError } from "../errors/index.ts";
import {
  type GenerateOptions,
  type GenerationDefaults,
  resolveSettings,
} from "../generate/index.ts";
import type { Profile, ProfileOptions, TernaryLayout } from "../graph/index.ts";
import { type Reclaimable, reclaimers } from "../memory/index.ts";
import type { LoadedDecoder } from "../models/index.ts";
import type { Tokenizer } from "../text/index.ts";
import { Chat, type ChatOptions } from "./chat.ts";
import { Generation } from "./generation.ts";
import type { ModelInfo } from "./info.ts";
import { EnginePrograms } from "./programs.ts";
import { reclaimablesOf } from "./reclaimable.ts";
import { checkTokens, type LogitsOptions, Session } from "./session.ts";
import type { ThreadCounts } from "./tuning-file.ts";

/** Sessions that wait, with their cache, for a prompt that begins as theirs did. */
const idleMax = 2;

export interface ModelParts {
  info: ModelInfo;
  tokenizer: Tokenizer;
  loaded: LoadedDecoder;
  defaults: GenerationDefaults;
  contextLength: number;
  precision: "fast" | "exact";
  packing: TernaryLayout;
  threads: ThreadCounts;
}

export class Model implements AsyncDisposable {
  readonly info: ModelInfo;
  readonly tokenizer: Tokenizer;
  readonly #parts: ModelParts;
  readonly #programs: EnginePrograms;
  readonly #idle: Session[] = [];
  readonly #active = new Map<Generation, Session>();
  readonly #pending = new Set<Promise<unknown>>();
  readonly #reclaimable: Disposable;
  #exact: EnginePrograms | undefined;
  /** Milliseconds of `performance.now()` when the last work ended. */
  #usedAt = performance.now();
  #disposed = false;

  constructor(parts: ModelParts) {
    this.#parts = parts;
    this.info = parts.info;
    this.tokenizer = parts.tokenizer;
    const { contextLength, precision } = parts;
    this.#programs = new EnginePrograms(parts.loaded.decoder, { contextLength, precision });
    this.#reclaimable = reclaimers.registerFor(this, (model, urgent) => model.#idleParts(urgent));
  }

  /**
   * Continues a text or token ids, piece by piece. What is absent from the options comes from the
   * model's generation_config.json.
   *
   * @example
   * ```ts
   * for await (const piece of model.generate("Once upon a time", { maxTokens: 200 }))
   *   process.stdout.write(piece.text);
   * ```
   * @throws BitNetError `generate/invalid-option`, `engine/prompt-too-long`,
   * `engine/empty-prompt`, `engine/token-out-of-range`
   */
  generate(prompt: string | ArrayLike<number>, options: GenerateOptions = {}): Generation {
    this.#requireOpen();
    const settings = resolveSettings(options, this.#parts.defaults);
    const { contextLength } = this.#parts;
    const tokens = this.#promptTokens(prompt);
    if (tokens.length > contextLength && !settings.slide) throw this.#tooLong(tokens.length);
    const generation = new Generation({
      tokens,
      settings,
      tokenizer: this.tokenizer,
      contextLength,
      acquire: (wanted) => {
        this.#requireOpen();
        const session = this.#acquire(wanted);
        this.#active.set(generation, session);
        return session;
      },
      release: (session) => this.#release(generation, session),
    });
    return generation;
  }

  /**
   * Logits after each token, [tokens x vocabulary] row-major, in exact precision: the head in the
   * checkpoint's dtype, the cache in f32.
   * @throws BitNetError `engine/prompt-too-long`, `engine/token-out-of-range`
   */
  async logits(ids: ArrayLike<number>, options: LogitsOptions = {}): Promise<Float32Array> {
    this.#requireOpen();
    const tokens = checkTokens(ids, this.info.vocabularySize);
    const { contextLength, loaded, threads } = this.#parts;
    if (tokens.length > contextLength) throw this.#tooLong(tokens.length);
    this.#exact ??= new EnginePrograms(loaded.decoder, { contextLength, precision: "exact" });
    const session = new Session(this.#exact, threads);
    const work = session.logits(tokens, options).finally(() => session[Symbol.dispose]());
    this.#pending.add(work);
    try {
      return await work;
    } finally {
      this.#pending.delete(work);
      this.#usedAt = performance.now();
    }
  }

  /** A conversation. @throws BitNetError `engine/no-chat-template` */
  chat(options: ChatOptions = {}): Chat {
    this.#requireOpen();
    return new Chat(this, options);
  }

  /** How its ternary weights are packed in memory. */
  get packing(): TernaryLayout {
    return this.#parts.packing;
  }

  /** The Programs it runs, for inspection and measuring. */
  get programs(): EnginePrograms {
    return this.#programs;
  }

  /**
   * Takes the time of every instruction of what it generates from now on: 16 bytes for each of
   * `events` single instructions, and little time.
   */
  startProfile(options: ProfileOptions = {}): void {
    this.#requireOpen();
    this.#programs.startProfile(options);
  }

  /** What generating since `startProfile` spent its time on, by instruction. */
  profile(): Profile {
    this.#requireOpen();
    return this.#programs.profile();
  }

  /** Ends what is under way, waits for it, and gives all memory back. Twice does no harm. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#reclaimable[Symbol.dispose]();
    await Promise.all([...this.#active.keys()].map((generation) => generation.end()));
    await Promise.allSettled(this.#pending);
    for (const session of [...this.#idle, ...this.#active.values()]) session[Symbol.dispose]();
    this.#programs[Symbol.dispose]();
    this.#exact?.[Symbol.dispose]();
    this.#parts.loaded[Symbol.dispose]();
  }

  #promptTokens(prompt: string | ArrayLike<number>): number[] {
    const ids = typeof prompt === "string" ? this.tokenizer.encode(prompt) : prompt;
    const tokens = checkTokens(ids, this.info.vocabularySize);
    if (tokens.length > 0) return tokens;
    const { bosId } = this.tokenizer;
    if (bosId !== null) return [bosId];
    throw new BitNetError(
      "engine/empty-prompt",
      "the prompt has no tokens, and this model has no token to begin with: give it a word",
    );
  }

  /** The waiting session that shares most with the prompt, or a new one. */
  #acquire(tokens: readonly number[]): Session {
    const [best] = [...this.#idle].sort((a, b) => b.sharedPrefix(tokens) - a.sharedPrefix(tokens));
    if (best && (best.sharedPrefix(tokens) > 0 || this.#idle.length >= idleMax)) {
      this.#idle.splice(this.#idle.indexOf(best), 1);
      best.reuseCount += 1;
      return best;
    }
    return new Session(this.#programs, this.#parts.threads);
  }

  #release(generation: Generation, session: Session): void {
    this.#active.delete(generation);
    this.#usedAt = session.usedAt = performance.now();
    if (this.#disposed || this.#idle.length >= idleMax) session[Symbol.dispose]();
    else this.#idle.push(session);
  }

  /** What could be freed now: nothing of what a generation or a call is using. */
  #idleParts(urgent: boolean): Reclaimable[] {
    if (this.#disposed) return [];
    return reclaimablesOf({
      name: this.info.name,
      usedAt: this.#usedAt,
      urgent,
      sessions: this.#idle,
      store: this.#active.size + this.#pending.size === 0 ? this.#parts.loaded.store : undefined,
      exact: this.#pending.size === 0 ? this.#exact : undefined,
    });
  }

  #tooLong(count: number): BitNetError {
    return new BitNetError(
      "engine/prompt-too-long",
      `the prompt has ${count} tokens, the context holds ${this.#parts.contextLength}: shorten it, ` +
        "load the model with a larger contextLength, or generate with slide",
    );
  }

  #requireOpen(): void {
    if (!this.#disposed) return;
    throw new BitNetError("engine/disposed", `${this.info.name} was used after its disposal`);
  }
}
