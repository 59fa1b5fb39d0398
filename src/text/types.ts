/** What the rest of the house sees of text: tokenizers, streams of pieces, chat templates. */

/** Options of `Tokenizer.encode` and `Tokenizer.encodePair`. */
export interface EncodeOptions {
  /** Whether the tokenizer's own post-processor adds its tokens, BOS most often. Default true. */
  addSpecialTokens?: boolean;
}

/** Options of `Tokenizer.decode`. */
export interface DecodeOptions {
  /** Whether special tokens leave no text. Default true. */
  skipSpecialTokens?: boolean;
}

/** Options of `Tokenizer.stream`. */
export interface StreamOptions extends DecodeOptions {
  /**
   * The ids before the first pushed one, the prompt's. With text before it a piece keeps the
   * space that a text's first word loses.
   */
  context?: ArrayLike<number>;
}

/**
 * Turns ids into text one at a time, at a cost that does not grow with what came before. All
 * pieces together are what `decode` gives for all ids; no piece ends inside a character.
 */
export interface StreamDecoder {
  /** The text that is certain with this id: often one word, "" while a character is unfinished. */
  push(id: number): string;
  /** The text held back so far. The stream is empty afterwards. */
  flush(): string;
}

/** Text to token ids and back, exactly as the model was trained with. */
export interface Tokenizer {
  /** One more than the largest id, and at least the size the model's configuration states. */
  readonly vocabularySize: number;
  readonly bosId: number | null;
  /** Every id that ends a text: the tokenizer's own and those of generation_config.json. */
  readonly eosIds: readonly number[];
  /** Absent when the checkpoint carries no template. */
  readonly chatTemplate?: ChatTemplate;
  /** @throws BitNetError text/invalid-text when `text` is no string */
  encode(text: string, options?: EncodeOptions): number[];
  /** Two texts in one sequence; `typeIds` tells which text an id belongs to. */
  encodePair(
    first: string,
    second: string,
    options?: EncodeOptions,
  ): { ids: number[]; typeIds: number[] };
  /** @throws BitNetError text/token-out-of-range */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  stream(options?: StreamOptions): StreamDecoder;
  idOf(token: string): number | undefined;
  tokenOf(id: number): string | undefined;
  isSpecial(id: number): boolean;
}

/** One turn of a conversation. Further fields reach the template as they are. */
export interface ChatMessage {
  role: "system" | "user" | "assistant" | (string & {});
  content: string;
}

/** Options of `ChatTemplate.render`. */
export interface RenderOptions {
  /** Whether the text ends where the assistant's answer begins. Default false. */
  addGenerationPrompt?: boolean;
  /** Default: the tokenizer's. */
  bosToken?: string;
  /** Default: the tokenizer's. */
  eosToken?: string;
  /** Further variables of the template, `tools` for example. */
  extra?: Record<string, unknown>;
}

/** A conversation to the text the model was trained to continue. */
export interface ChatTemplate {
  /** @throws BitNetError text/invalid-messages, invalid-chat-template or chat-template-failed */
  render(messages: readonly ChatMessage[], options?: RenderOptions): string;
}

/** What a tokenizer is made of. */
export interface TokenizerSource {
  /** The parsed tokenizer.json. */
  tokenizerJson: unknown;
  /** The parsed tokenizer_config.json. */
  tokenizerConfig?: Record<string, unknown>;
  /** chat_template.jinja; goes before `chat_template` of the configuration. */
  chatTemplate?: string;
  /** Goes before `bos_token` of the configuration; null says there is none. */
  bosId?: number | null;
  /** Ids that end a text besides `eos_token` of the configuration. */
  eosIds?: readonly number[];
  /** Rows of the model's head. Ids past the tokenizer's own are legal then and leave no text. */
  modelVocabularySize?: number;
  /** What errors call the source: a path. Default "tokenizer.json". */
  name?: string;
}
