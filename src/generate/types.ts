/**
 * What a caller may ask of a generation, and the pieces that come back.
 */

/** How tokens are chosen and when to end. What is absent comes from generation_config.json. */
export interface GenerateOptions {
  /**
   * Divides the logits: below 1 bolder, above 1 more varied, 0 always the likeliest token (greedy).
   * From 0 to 100. Without it and without another sampling option a model samples only if its
   * generation_config.json says so.
   */
  temperature?: number | undefined;
  /** Keeps the k likeliest tokens, more when the last ones tie; 0 keeps all. */
  topK?: number | undefined;
  /** Keeps the likeliest tokens that together reach this probability: above 0, up to 1. */
  topP?: number | undefined;
  /** Keeps tokens of at least this share of the likeliest one's probability: 0 to 1. */
  minP?: number | undefined;
  /** Keeps the tokens nearest to the expected information that reach this probability. */
  typicalP?: number | undefined;
  /** Makes tokens of the prompt and the answer less likely: 1 is neutral, 0.01 to 100. */
  repetitionPenalty?: number | undefined;
  /** No sequence of this many tokens comes twice; 0 lets them. */
  noRepeatNgram?: number | undefined;
  /** The same seed gives the same text. An integer from 0 to 2^64 - 1; random when absent. */
  seed?: number | bigint | undefined;
  /** Ends before the first of these texts; it is not part of the answer. */
  stop?: string | readonly string[] | undefined;
  /** Ends at these tokens, besides the model's own. */
  stopTokens?: readonly number[] | undefined;
  /** At most this many tokens; absent, as many as the context holds. */
  maxTokens?: number | undefined;
  /** Goes on past the model's end-of-text tokens. */
  ignoreEos?: boolean | undefined;
  /** Ends the generation when it aborts. */
  signal?: AbortSignal | undefined;
  /** On a full context, forgets the oldest tokens and goes on instead of ending. */
  slide?: boolean | undefined;
}

/**
 * Why a generation ended: a stop text or token came, the token limit or the end of the context
 * was reached, or the caller aborted it.
 */
export type FinishReason = "stop" | "length" | "aborted";

/** A bit of generated text. */
export interface Piece {
  /** May be empty: a character can take several tokens, and a possible stop text is held back. */
  text: string;
  /** The token it came with; null for a closing piece that has none. */
  token: number | null;
  /** Set on the last piece only. */
  finishReason: FinishReason | null;
}

/** What a model's own generation_config.json asks for. */
export interface GenerationDefaults {
  /** False means greedy, unless the caller asks to sample. */
  sample: boolean;
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  typicalP?: number;
  repetitionPenalty?: number;
  noRepeatNgram?: number;
  /** The model's end-of-text tokens. */
  eosTokens: readonly number[];
}

/** Options with every default filled in and checked. Off is 0 for counts and minP, else 1. */
export interface GenerateSettings {
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly typicalP: number;
  readonly repetitionPenalty: number;
  readonly noRepeatNgram: number;
  readonly seed: bigint;
  readonly stop: readonly string[];
  /** The caller's, and the model's unless they are to be ignored; each once. */
  readonly stopTokens: readonly number[];
  /** Infinity when only the context ends it. */
  readonly maxTokens: number;
  readonly slide: boolean;
  readonly signal: AbortSignal | undefined;
}
