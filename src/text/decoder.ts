/**
 * The decoder of a tokenizer.json as a chain of steps that tokens flow through, one at a time:
 * what comes out is certain, what is not yet is held. Decoding whole and decoding as a stream are
 * the same chain, so they cannot differ.
 *
 * After a step that joins all tokens into one (Fuse, ByteLevel), later steps see that one token
 * in fragments; a step that cannot work on fragments holds all of them until the end.
 * Semantics: `tokenizers/src/decoders` of huggingface/tokenizers.
 */
import {
  bpeStep,
  byteFallbackStep,
  byteLevelStep,
  joinStep,
  metaspaceStep,
  passStep,
  replaceStep,
  type Step,
  type StepStart,
  stripFusedStep,
  stripStep,
  wholeStep,
  wordPieceStep,
} from "./decoder-steps.ts";
import { expectArray, expectObject, expectString, refuseUnsupported } from "./json-shape.ts";

/** Makes the chain of one text. */
export type DecoderFactory = (start: StepStart) => TokenDecoder;

/** A chain at work on one text. */
export class TokenDecoder {
  readonly #steps: Step[];
  #text = "";

  constructor(steps: Step[]) {
    this.#steps = steps;
  }

  push(token: string): string {
    this.#feed(0, token);
    return this.#take();
  }

  flush(): string {
    for (const [index, step] of this.#steps.entries()) {
      step.flush((piece) => this.#feed(index + 1, piece));
    }
    return this.#take();
  }

  #feed(index: number, piece: string): void {
    const step = this.#steps[index];
    if (step === undefined) this.#text += piece;
    else step.push(piece, (out) => this.#feed(index + 1, out));
  }

  #take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }
}

type StepFactory = (start: StepStart) => Step;

/**
 * Reads the `decoder` part of a tokenizer.json; null joins tokens with spaces.
 * @throws BitNetError text/invalid-tokenizer or text/unsupported-tokenizer
 */
export function compileDecoder(config: unknown, name: string): DecoderFactory {
  const compiler = new ChainCompiler(name);
  if (config === null || config === undefined) compiler.steps.push(joinStep);
  else compiler.add(config, 0);
  const { steps } = compiler;
  return (start) => new TokenDecoder(steps.map((step) => step(start)));
}

class ChainCompiler {
  readonly steps: StepFactory[] = [];
  /** Whether what flows now is one token in fragments. */
  #isFused = false;
  readonly #name: string;

  constructor(name: string) {
    this.#name = `${name}, decoder`;
  }

  add(value: unknown, depth: number): void {
    const config = expectObject(value, this.#name);
    switch (config.type) {
      case "Sequence":
        if (depth >= depthMax) refuseUnsupported(this.#name, `sequences ${depth} deep`);
        for (const one of expectArray(config.decoders, `${this.#name}, decoders`)) {
          this.add(one, depth + 1);
        }
        return;
      case "Fuse":
        this.steps.push(passStep);
        this.#isFused = true;
        return;
      case "ByteLevel":
        this.#perToken(byteLevelStep);
        this.#isFused = true;
        return;
      case "ByteFallback":
        this.#perToken(byteFallbackStep);
        return;
      case "Replace":
        this.#addReplace(config);
        return;
      case "Strip":
        this.#addStrip(config);
        return;
      case "Metaspace":
        this.#addMetaspace(config);
        return;
      case "WordPiece":
        this.#addWordPiece(config);
        return;
      case "BPEDecoder":
        this.#addBpe(config);
        return;
      default:
        refuseUnsupported(this.#name, config.type);
    }
  }

  /** Adds a step that wants whole tokens. */
  #perToken(step: StepFactory): void {
    this.steps.push(this.#isFused ? (start) => wholeStep(step(start)) : step);
  }

  #addReplace(config: Record<string, unknown>): void {
    const pattern = expectObject(config.pattern, `${this.#name}, pattern`);
    if (!("String" in pattern)) refuseUnsupported(`${this.#name}, Replace`, pattern);
    const from = expectString(pattern.String, `${this.#name}, pattern`);
    const to = expectString(config.content, `${this.#name}, content`);
    const step: StepFactory = () => replaceStep(from, to);
    if ([...from].length === 1) this.steps.push(step);
    else this.#perToken(step);
  }

  #addStrip(config: Record<string, unknown>): void {
    const content = expectString(config.content, `${this.#name}, content`);
    if ([...content].length !== 1) refuseUnsupported(`${this.#name}, Strip`, content);
    const count = (key: string): number => {
      const value = config[key] ?? 0;
      const isCount = Number.isInteger(value) && Number(value) >= 0 && Number(value) <= stripMax;
      return isCount ? Number(value) : refuseUnsupported(`${this.#name}, ${key}`, value);
    };
    const cut = { content, start: count("start"), stop: count("stop") };
    const isFused = this.#isFused;
    this.steps.push((start) => (isFused ? stripFusedStep(cut, start) : stripStep(cut)));
  }

  #addMetaspace(config: Record<string, unknown>): void {
    const replacement = expectString(config.replacement ?? "\u2581", `${this.#name}, replacement`);
    const isPrefixed =
      config.prepend_scheme === undefined
        ? config.add_prefix_space !== false
        : config.prepend_scheme !== "never";
    this.#perToken((start) => metaspaceStep({ replacement, isPrefixed }, start));
  }

  #addWordPiece(config: Record<string, unknown>): void {
    const prefix = expectString(config.prefix ?? "##", `${this.#name}, prefix`);
    const isCleaned = config.cleanup !== false;
    this.#perToken((start) => wordPieceStep({ prefix, isCleaned }, start));
  }

  #addBpe(config: Record<string, unknown>): void {
    const suffix = expectString(config.suffix ?? "</w>", `${this.#name}, suffix`);
    this.#perToken(() => bpeStep(suffix));
  }
}

const depthMax = 8;
const stripMax = 1_024;
