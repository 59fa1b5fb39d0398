/**
 * What `bitnet chat` talks with: the model's own chat template, or, for a model without one, a
 * transcript that every message lengthens and the model writes on from.
 */
import type { Answer, ChatOptions, Model } from "../engine/index.ts";
import type { GenerateOptions } from "../generate/index.ts";

/** Answers messages one after the other and knows what was said. */
export interface Conversation {
  /** Whether the model knows questions from answers. */
  readonly hasTemplate: boolean;
  send(message: string, options: GenerateOptions): Answer;
  /** Forgets what was said. */
  reset(): void;
}

/** How long a transcript's answer gets where nothing else is asked for. */
const transcriptTokens = 120;
/** In UTF-16 units: more than any context holds. */
const transcriptLengthMax = 400_000;

/**
 * A conversation in the way the model allows.
 * @throws BitNetError engine/no-chat-template for a system message that has no place
 */
export function startConversation(model: Model, options: ChatOptions): Conversation {
  if (model.tokenizer.chatTemplate !== undefined || options.system !== undefined) {
    return new TemplateConversation(model, options);
  }
  return new TranscriptConversation(model, options);
}

class TemplateConversation implements Conversation {
  readonly hasTemplate = true;
  readonly #start: () => ReturnType<Model["chat"]>;
  #chat: ReturnType<Model["chat"]>;

  constructor(model: Model, options: ChatOptions) {
    this.#start = () => model.chat(options);
    this.#chat = this.#start();
  }

  send(message: string, options: GenerateOptions): Answer {
    return this.#chat.send(message, options);
  }

  reset(): void {
    this.#chat = this.#start();
  }
}

/** A full context forgets the oldest words by itself. */
class TranscriptConversation implements Conversation {
  readonly hasTemplate = false;
  readonly #model: Model;
  readonly #options: GenerateOptions;
  #text = "";

  constructor(model: Model, options: GenerateOptions) {
    this.#model = model;
    const { maxTokens = transcriptTokens, slide = true } = options;
    this.#options = { ...options, maxTokens, slide };
  }

  send(message: string, options: GenerateOptions): Answer {
    this.#add(this.#text === "" ? message : `\n${message}`);
    const generation = this.#model.generate(this.#text, { ...this.#options, ...options });
    const add = this.#add.bind(this);
    return {
      stats: generation.stats,
      async *[Symbol.asyncIterator]() {
        for await (const piece of generation) {
          add(piece.text);
          yield piece;
        }
      },
    };
  }

  reset(): void {
    this.#text = "";
  }

  #add(text: string): void {
    this.#text = (this.#text + text).slice(-transcriptLengthMax);
  }
}
