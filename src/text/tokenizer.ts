/**
 * A tokenizer of a tokenizer.json: its vocabulary and templates checked here, its text encoded by
 * @huggingface/tokenizers, its ids decoded by our own chain, which can also stream.
 */
import { Tokenizer as Encoder } from "@huggingface/tokenizers";
import { BitNetError } from "../errors/index.ts";
import { JinjaChatTemplate } from "./chat-template.ts";
import { compileDecoder, type DecoderFactory, type TokenDecoder } from "./decoder.ts";
import { encoderConfig } from "./encoder-config.ts";
import {
  expectObject,
  inShort,
  isObject,
  type JsonObject,
  refuseUnsupported,
} from "./json-shape.ts";
import { applyTemplate, compilePostProcessor, type PostProcessor } from "./post-processor.ts";
import type {
  ChatTemplate,
  DecodeOptions,
  EncodeOptions,
  StreamDecoder,
  StreamOptions,
  Tokenizer,
  TokenizerSource,
} from "./types.ts";
import { readVocabulary, type Vocabulary } from "./vocabulary.ts";

/**
 * Makes a tokenizer of the parsed files of a model.
 * @throws BitNetError text/invalid-tokenizer, text/invalid-vocabulary, text/unsupported-tokenizer
 */
export function createTokenizer(source: TokenizerSource): Tokenizer {
  const name = source.name ?? "tokenizer.json";
  const json = expectObject(source.tokenizerJson, name);
  const vocabulary = readVocabulary(json, name);
  return new JsonTokenizer(source, {
    vocabulary,
    encoder: createEncoder(encoderConfig(json, name), name),
    postProcessor: compilePostProcessor(json.post_processor, {
      name,
      tokenCount: vocabulary.tokens.length,
    }),
    startDecoder: compileDecoder(json.decoder, name),
  });
}

interface Parts {
  vocabulary: Vocabulary;
  encoder: Encoder;
  postProcessor: PostProcessor;
  startDecoder: DecoderFactory;
}

class JsonTokenizer implements Tokenizer {
  readonly vocabularySize: number;
  readonly bosId: number | null;
  readonly eosIds: readonly number[];
  readonly chatTemplate?: ChatTemplate;
  readonly #parts: Parts;

  constructor(source: TokenizerSource, parts: Parts) {
    this.#parts = parts;
    const { tokens } = parts.vocabulary;
    this.vocabularySize = Math.max(tokens.length, source.modelVocabularySize ?? 0);
    const config = source.tokenizerConfig ?? {};
    this.bosId = source.bosId === undefined ? this.#idOfConfigured(config.bos_token) : source.bosId;
    const eosId = this.#idOfConfigured(config.eos_token);
    this.eosIds = [...new Set([...(source.eosIds ?? []), ...(eosId === null ? [] : [eosId])])];
    const name = source.name ?? "tokenizer.json";
    for (const id of this.eosIds) this.#checkId(id, `${name}: the id that ends a text`);
    if (this.bosId !== null) this.#checkId(this.bosId, `${name}: the id that begins a text`);
    const template = source.chatTemplate ?? templateOf(config.chat_template);
    if (template !== undefined) {
      this.chatTemplate = new JinjaChatTemplate({
        template,
        bosToken: textOf(config.bos_token) ?? this.tokenOf(this.bosId ?? -1),
        eosToken: textOf(config.eos_token) ?? this.tokenOf(this.eosIds[0] ?? -1),
      });
    }
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const { single } = this.#parts.postProcessor;
    return applyTemplate(single, [this.#plainIds(text)], options.addSpecialTokens ?? true).ids;
  }

  encodePair(
    first: string,
    second: string,
    options: EncodeOptions = {},
  ): { ids: number[]; typeIds: number[] } {
    const texts = [this.#plainIds(first), this.#plainIds(second)];
    return applyTemplate(this.#parts.postProcessor.pair, texts, options.addSpecialTokens ?? true);
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const stream = this.stream(options);
    let text = "";
    for (let index = 0; index < ids.length; index++) text += stream.push(ids[index]!);
    return text + stream.flush();
  }

  stream(options: StreamOptions = {}): StreamDecoder {
    const isSkipping = options.skipSpecialTokens ?? true;
    const isText = (id: number): boolean =>
      this.tokenOf(id) !== undefined && !(isSkipping && this.isSpecial(id));
    const isTextStart = !Array.from(options.context ?? []).some(isText);
    const start = (isStart: boolean): TokenDecoder =>
      this.#parts.startDecoder({ isTextStart: isStart });
    let decoder = start(isTextStart);
    return {
      push: (id) => {
        this.#checkId(id);
        return isText(id) ? decoder.push(this.tokenOf(id)!) : "";
      },
      flush: () => {
        const text = decoder.flush();
        decoder = start(true);
        return text;
      },
    };
  }

  idOf(token: string): number | undefined {
    return this.#parts.encoder.token_to_id(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#parts.vocabulary.tokens[id];
  }

  isSpecial(id: number): boolean {
    return this.#parts.vocabulary.specialIds.has(id);
  }

  #plainIds(text: string): number[] {
    if (typeof text !== "string") {
      throw new BitNetError("text/invalid-text", `text: expected a string, got ${inShort(text)}`);
    }
    return this.#parts.encoder.encode(text, { add_special_tokens: false }).ids;
  }

  #idOfConfigured(token: unknown): number | null {
    const text = textOf(token);
    return text === undefined ? null : (this.idOf(text) ?? null);
  }

  #checkId(id: number, what = "token id"): void {
    if (Number.isInteger(id) && id >= 0 && id < this.vocabularySize) return;
    throw new BitNetError(
      "text/token-out-of-range",
      `${what}: expected a whole number from 0 to ${this.vocabularySize - 1}, got ${String(id)}`,
    );
  }
}

function createEncoder(config: JsonObject, name: string): Encoder {
  try {
    return new Encoder(config, {});
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    refuseUnsupported(name, reason, cause);
  }
}

/** A token of tokenizer_config.json: a text, or an object with the text as `content`. */
function textOf(token: unknown): string | undefined {
  const text = isObject(token) ? token.content : token;
  return typeof text === "string" ? text : undefined;
}

/** `chat_template` is a text, or a list of named ones, of which "default" or the first counts. */
function templateOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  const named = Array.isArray(value) ? value.filter(isObject) : [];
  const template = (named.find((one) => one.name === "default") ?? named[0])?.template;
  return typeof template === "string" ? template : undefined;
}
