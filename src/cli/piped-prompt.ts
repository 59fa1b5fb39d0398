/**
 * The prompt that may come through a pipe. A program that starts us may leave its end of the pipe
 * open and silent for ever, so an unasked-for prompt is waited for only a while; `-` in place of
 * the prompt waits for as long as it takes.
 */
import { fstatSync } from "node:fs";
import { BitNetError } from "../errors/index.ts";
import { tell } from "./output.ts";

const bytesMax = 4 << 20;
/** Shells make pipes; programs that start others make sockets and rarely mean to write to them. */
const firstByteMs = { pipe: 5_000, socket: 1_000 };

/** How to read standard input. */
export interface PipeOptions {
  /** Whether the caller asked for standard input by name. */
  isAskedFor: boolean;
}

/**
 * All text of standard input without its last line end; "" when it is a terminal or empty, or
 * when the signal aborts.
 * @throws BitNetError cli/prompt-too-long
 */
export async function readPipedPrompt(
  { isAskedFor }: PipeOptions,
  signal: AbortSignal,
): Promise<string> {
  if (process.stdin.isTTY && !isAskedFor) return "";
  const aborted = new Promise<string>((resolve) => {
    signal.addEventListener("abort", () => resolve(""), { once: true });
  });
  return Promise.race([readAll(isAskedFor), aborted]);
}

async function readAll(isAskedFor: boolean): Promise<string> {
  const begun = Promise.withResolvers<boolean>();
  const text = readText(() => begun.resolve(true));
  if (!isAskedFor) {
    const late = Bun.sleep(firstByteMsOf()).then(() => false);
    if (!(await Promise.race([begun.promise, text.then(() => true), late]))) {
      text.catch(() => {});
      tell("nothing came through the pipe, so the model begins by itself; `-` waits for a prompt");
      return "";
    }
  }
  const prompt = (await text).replace(/\r?\n$/, "");
  return prompt.trim() === "" ? "" : prompt;
}

async function readText(onFirst: () => void): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of Bun.stdin.stream()) {
    onFirst();
    bytes += chunk.byteLength;
    if (bytes > bytesMax) refuseLength();
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function firstByteMsOf(): number {
  try {
    return fstatSync(0).isSocket() ? firstByteMs.socket : firstByteMs.pipe;
  } catch {
    return 0;
  }
}

function refuseLength(): never {
  throw new BitNetError(
    "cli/prompt-too-long",
    `standard input: expected a prompt of at most ${bytesMax} bytes, got more`,
  );
}
