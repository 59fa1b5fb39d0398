/** Text to ids and back: tokenizers of every checkpoint format, streams, chat templates. */
export { tokenizerOf } from "./checkpoint-tokenizer.ts";
export { ggufTokenizerFields, type TokenizerFields } from "./gguf-fields.ts";
export { type GgufMetadata, tokenizerFromGguf } from "./gguf-tokenizer.ts";
export { createTokenizer } from "./tokenizer.ts";
export type {
  ChatMessage,
  ChatTemplate,
  DecodeOptions,
  EncodeOptions,
  RenderOptions,
  StreamDecoder,
  StreamOptions,
  Tokenizer,
  TokenizerSource,
} from "./types.ts";
