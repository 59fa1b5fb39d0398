/**
 * Chat templates: Jinja, with the variables and settings that chat templates are written for
 * (messages, add_generation_prompt, bos_token, eos_token; trimmed blocks).
 */
import { Template } from "@huggingface/jinja";
import { BitNetError } from "../errors/index.ts";
import { inShort, isObject } from "./json-shape.ts";
import type { ChatMessage, ChatTemplate, RenderOptions } from "./types.ts";

/** What a template is made of: its text and the tokenizer's own tokens. */
export interface ChatTemplateSource {
  template: string;
  bosToken?: string;
  eosToken?: string;
}

/** A template that is parsed when it is first used: few programs that load a model chat. */
export class JinjaChatTemplate implements ChatTemplate {
  readonly #source: ChatTemplateSource;
  #parsed: Template | undefined;

  constructor(source: ChatTemplateSource) {
    this.#source = source;
  }

  render(messages: readonly ChatMessage[], options: RenderOptions = {}): string {
    checkMessages(messages);
    this.#parsed ??= parse(this.#source.template);
    try {
      return this.#parsed.render({
        ...options.extra,
        messages,
        add_generation_prompt: options.addGenerationPrompt ?? false,
        bos_token: options.bosToken ?? this.#source.bosToken ?? "",
        eos_token: options.eosToken ?? this.#source.eosToken ?? "",
      });
    } catch (cause) {
      throw new BitNetError(
        "text/chat-template-failed",
        `The model's chat template does not take this conversation: ${messageOf(cause)}`,
        { cause },
      );
    }
  }
}

function parse(template: string): Template {
  try {
    return new Template(template);
  } catch (cause) {
    throw new BitNetError(
      "text/invalid-chat-template",
      `The model's chat template is no Jinja: ${messageOf(cause)}; give chatTemplate yourself`,
      { cause },
    );
  }
}

function checkMessages(messages: readonly ChatMessage[]): void {
  const isList = Array.isArray(messages) && messages.length > 0;
  const wrong = isList ? messages.findIndex((message) => !isMessage(message)) : 0;
  if (isList && wrong < 0) return;
  const got = isList ? inShort(messages[wrong]) : inShort(messages);
  throw new BitNetError(
    "text/invalid-messages",
    `messages: expected { role, content } objects, at least one, got ${got} at ${wrong}`,
  );
}

function isMessage(message: unknown): message is ChatMessage {
  return (
    isObject(message) && typeof message.role === "string" && typeof message.content === "string"
  );
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
