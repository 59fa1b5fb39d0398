/**
 * Small text files beside the weights: read whole under a size limit, UTF-8 checked, JSON parsed.
 */
import { decodeUtf8, InputFile, kindOf } from "./files.ts";
import { refuse } from "./refuse.ts";

const mebibyte = 1 << 20;

/** What a text file may hold at most. Tokenizers of real models reach 35 MB. */
export const textBytesMax = {
  config: 8 * mebibyte,
  index: 128 * mebibyte,
  tokenizer: 256 * mebibyte,
} as const;

/** @throws BitNetError when the file is absent, too large or no UTF-8 */
export async function readText(path: string, bytesMax: number): Promise<string> {
  await using file = await InputFile.open(path);
  if (file.bytes > bytesMax) {
    refuse("checkpoint/file-too-large", {
      file: path,
      expected: `at most ${bytesMax} bytes`,
      got: `${file.bytes} bytes`,
    });
  }
  return decodeUtf8(path, "the file", await file.read(0, file.bytes));
}

/** @throws BitNetError as `readText`, and checkpoint/broken-json */
export async function readJson(path: string, bytesMax: number): Promise<unknown> {
  return parseJson(path, await readText(path, bytesMax));
}

/** What a file's text says. @throws BitNetError checkpoint/broken-json */
export function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    refuse("checkpoint/broken-json", {
      file: path,
      expected: "JSON",
      got: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

/** @throws BitNetError as `readJson`; a JSON value that is no object is broken too */
export async function readJsonObject(
  path: string,
  bytesMax: number,
): Promise<Record<string, unknown>> {
  const value = await readJson(path, bytesMax);
  if (isObject(value)) return value;
  const got = Array.isArray(value) ? "an array" : value === null ? "null" : typeof value;
  refuse("checkpoint/broken-json", { file: path, expected: "a JSON object", got });
}

/** Reads `path` with `read` when a file is there; undefined when nothing is. */
export async function ifPresent<T>(path: string, read: () => Promise<T>): Promise<T | undefined> {
  return (await kindOf(path)) === undefined ? undefined : read();
}

/** Whether a JSON value is an object, not an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
