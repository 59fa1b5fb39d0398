/** Checked access to parsed JSON of unknown shape: each miss is refused with the source's name. */
import { BitNetError } from "../errors/index.ts";

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws BitNetError text/invalid-tokenizer */
export function expectObject(value: unknown, what: string): JsonObject {
  return isObject(value) ? value : refuseShape(what, "an object", value);
}

/** @throws BitNetError text/invalid-tokenizer */
export function expectArray(value: unknown, what: string): unknown[] {
  return Array.isArray(value) ? value : refuseShape(what, "an array", value);
}

/** @throws BitNetError text/invalid-tokenizer */
export function expectString(value: unknown, what: string): string {
  return typeof value === "string" ? value : refuseShape(what, "a text", value);
}

/** @throws BitNetError text/invalid-tokenizer always */
export function refuseShape(what: string, expected: string, got: unknown): never {
  throw new BitNetError(
    "text/invalid-tokenizer",
    `${what}: expected ${expected}, got ${inShort(got)}; fetch the file again`,
  );
}

/** @throws BitNetError text/unsupported-tokenizer always */
export function refuseUnsupported(what: string, got: unknown, cause?: unknown): never {
  throw new BitNetError(
    "text/unsupported-tokenizer",
    `${what}: no support for ${inShort(got)}; encoding would differ from the model's own`,
    cause === undefined ? undefined : { cause },
  );
}

/** A value for an error message: quoted, escaped, bounded. */
export function inShort(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = typeof value === "bigint" ? `${value}` : asJson(value);
  return text.length <= charsMax ? text : `${text.slice(0, charsMax)}... (cut)`;
}

const charsMax = 120;

/** What nests too deeply to be written is not worth showing. */
function asJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return "a value that nests too deeply";
  }
}
