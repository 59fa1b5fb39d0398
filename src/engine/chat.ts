/**
 * A conversation: keeps the messages, renders them with the model's template, and generates the
 * next answer. The part of the transcript that was read before is not read again.
 */
import { BitNetError } from "../errors/index.ts";
import type { GenerateOptions, Piece } from "../generate/index.ts";
import type { ChatMessage, Tokenizer } from "../text/index.ts";
import type { Generation } from "./generation.ts";

export interface ChatOptions extends GenerateOptions {
  system?: string;
  /** Messages that were exchanged before. */
  history?: readonly ChatMessage[];
}

/** What a conversation asks of its model. */
export interface ChatModel {
  readonly info: { readonly name: string };
  readonly tokenizer: Tokenizer;
  generate(prompt: ArrayLike<number>, options: GenerateOptions): Generation;
}

/** An answer under way: pieces of text, and the figures of its generation. */
export interface Answer extends AsyncIterable<Piece> {
  readonly stats: Generation["stats"];
}

export class Chat {
  readonly messages: ChatMessage[] = [];
  readonly #model: ChatModel;
  readonly #options: GenerateOptions;

  /** @throws BitNetError `engine/no-chat-template` */
  constructor(model: ChatModel, { system, history = [], ...options }: ChatOptions) {
    if (!model.tokenizer.chatTemplate) {
      throw new BitNetError(
        "engine/no-chat-template",
        `${model.info.name} has no chat template: it continues text, it does not answer; ` +
          "use generate",
      );
    }
    this.#model = model;
    this.#options = options;
    if (system !== undefined) this.messages.push({ role: "system", content: system });
    this.messages.push(...history);
  }

  /**
   * Adds a message and answers it. The answer joins the messages when its last piece was read, as
   * far as it came.
   */
  send(content: string, options: GenerateOptions = {}): Answer {
    this.messages.push({ role: "user", content });
    const text = this.#model.tokenizer.chatTemplate!.render(this.messages, {
      addGenerationPrompt: true,
    });
    const ids = this.#model.tokenizer.encode(text, { addSpecialTokens: false });
    const generation = this.#model.generate(ids, { ...this.#options, ...options });
    const { messages } = this;
    return {
      stats: generation.stats,
      async *[Symbol.asyncIterator]() {
        let answer = "";
        try {
          for await (const piece of generation) {
            answer += piece.text;
            yield piece;
          }
        } finally {
          messages.push({ role: "assistant", content: answer });
        }
      },
    };
  }
}
