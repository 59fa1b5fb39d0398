/**
 * The steps a decoder chain is made of. A step takes tokens, or fragments of one, and emits the
 * text that no later token can change; `flush` emits the rest.
 */
import { bytesOfToken } from "./byte-alphabet.ts";
import { Utf8Stream } from "./utf8-stream.ts";

export type Emit = (piece: string) => void;

export interface Step {
  push(piece: string, emit: Emit): void;
  flush(emit: Emit): void;
}

/** Where a chain begins: at the start of a text, or after text that came before. */
export interface StepStart {
  isTextStart: boolean;
}

export interface Cut {
  content: string;
  start: number;
  stop: number;
}

const nothing = (): void => {};

/** Each token by itself, unchanged in number. */
function mapStep(map: (piece: string) => string): Step {
  return { push: (piece, emit) => emit(map(piece)), flush: nothing };
}

/** Each token by itself, told whether it is the first of its text. */
function mapFirstStep(map: (piece: string, isFirst: boolean) => string, start: StepStart): Step {
  let isFirst = start.isTextStart;
  return {
    push: (piece, emit) => {
      emit(map(piece, isFirst));
      isFirst = false;
    },
    flush: nothing,
  };
}

export function passStep(): Step {
  return mapStep((piece) => piece);
}

/** Holds all fragments of a token and gives them to `inner` as one. */
export function wholeStep(inner: Step): Step {
  let held: string | undefined;
  return {
    push: (piece) => {
      held = (held ?? "") + piece;
    },
    flush: (emit) => {
      if (held !== undefined) inner.push(held, emit);
      held = undefined;
      inner.flush(emit);
    },
  };
}

/** Tokens with a space between them: a tokenizer without a decoder. */
export function joinStep(start: StepStart): Step {
  return mapFirstStep((piece, isFirst) => (isFirst ? piece : ` ${piece}`), start);
}

/** Byte-level tokens to the text their bytes spell. */
export function byteLevelStep(): Step {
  const utf8 = new Utf8Stream();
  return {
    push: (piece, emit) => emit(utf8.push(bytesOfToken(piece))),
    flush: (emit) => emit(utf8.flush()),
  };
}

/**
 * `<0x0A>` tokens to bytes. A run of them is text when all of it is UTF-8, else one U+FFFD a
 * byte: so a run is certain only where it ends.
 */
export function byteFallbackStep(): Step {
  let run: number[] = [];
  const flush = (emit: Emit): void => {
    if (run.length > 0) emit(textOfRun(run));
    run = [];
  };
  return {
    push: (piece, emit) => {
      const byte = byteOf(piece);
      if (byte !== undefined) {
        run.push(byte);
        return;
      }
      flush(emit);
      emit(piece);
    },
    flush,
  };
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOfRun(run: number[]): string {
  try {
    return strictUtf8.decode(Uint8Array.from(run));
  } catch {
    return "\ufffd".repeat(run.length);
  }
}

function byteOf(token: string): number | undefined {
  const match = /^<0x([0-9A-Fa-f]{2})>$/.exec(token);
  return match === null ? undefined : Number.parseInt(match[1]!, 16);
}

export function replaceStep(from: string, to: string): Step {
  return mapStep((piece) => piece.replaceAll(from, () => to));
}

/** Cuts `content` off both ends of each token. */
export function stripStep({ content, start, stop }: Cut): Step {
  return mapStep((piece) => {
    const chars = [...piece];
    let first = 0;
    while (first < Math.min(start, chars.length) && chars[first] === content) first++;
    let end = chars.length;
    while (end > first && chars.length - end < stop && chars[end - 1] === content) end--;
    return chars.slice(first, end).join("");
  });
}

/** Cuts `content` off both ends of the one token that arrives in fragments. */
export function stripFusedStep({ content, start, stop }: Cut, { isTextStart }: StepStart): Step {
  let startLeft = isTextStart ? start : 0;
  let heldCount = 0;
  return {
    push: (piece, emit) => {
      let rest = piece;
      while (startLeft > 0 && rest !== "") {
        if (!rest.startsWith(content)) startLeft = 0;
        else {
          rest = rest.slice(content.length);
          startLeft--;
        }
      }
      if (rest === "") return;
      rest = content.repeat(heldCount) + rest;
      heldCount = 0;
      while (heldCount < stop && rest.endsWith(content)) {
        rest = rest.slice(0, -content.length);
        heldCount++;
      }
      emit(rest);
    },
    flush: nothing,
  };
}

/** U+2581 to a space; at the start of a text to nothing when the tokenizer put it there. */
export function metaspaceStep(
  { replacement, isPrefixed }: { replacement: string; isPrefixed: boolean },
  start: StepStart,
): Step {
  return mapFirstStep(
    (piece, isFirst) => piece.replaceAll(replacement, isFirst && isPrefixed ? "" : " "),
    start,
  );
}

/** Words apart, `##` parts joined, the space before punctuation closed. */
export function wordPieceStep(
  { prefix, isCleaned }: { prefix: string; isCleaned: boolean },
  start: StepStart,
): Step {
  return mapFirstStep((piece, isFirst) => {
    const spaced = isFirst
      ? piece
      : piece.startsWith(prefix)
        ? piece.slice(prefix.length)
        : ` ${piece}`;
    return isCleaned ? closeSpaces(spaced) : spaced;
  }, start);
}

/** Source: `cleanup` in tokenizers/src/decoders/wordpiece.rs, huggingface/tokenizers. */
const closings: readonly (readonly [string, string])[] = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

function closeSpaces(text: string): string {
  return closings.reduce((all, [from, to]) => all.replaceAll(from, to), text);
}

/** The mark of a word's end to a space; the last token of a text loses it. */
export function bpeStep(suffix: string): Step {
  let held: string | undefined;
  return {
    push: (piece, emit) => {
      if (held !== undefined) emit(held.replaceAll(suffix, " "));
      held = piece;
    },
    flush: (emit) => {
      if (held !== undefined) emit(held.replaceAll(suffix, ""));
      held = undefined;
    },
  };
}
