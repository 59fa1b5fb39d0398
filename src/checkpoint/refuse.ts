/**
 * One wording for every refusal of a checkpoint: the file, what was expected, what came.
 */
import { BitNetError, type ErrorCode } from "../errors/index.ts";

/** The parts of a refusal. `got` is cut when a hostile file makes it long. */
export interface Refusal {
  file: string;
  expected: string;
  got: string;
  remedy?: string;
  cause?: unknown;
}

const gotCharsMax = 200;

/** @throws BitNetError always, with `code`. */
export function refuse(code: ErrorCode, { file, expected, got, remedy, cause }: Refusal): never {
  const end = remedy === undefined ? "" : `; ${remedy}`;
  const options = cause === undefined ? undefined : { cause };
  throw new BitNetError(code, `${file}: expected ${expected}, got ${clip(got)}${end}`, options);
}

/** A name out of a file, quoted, with control characters escaped and its length bounded. */
export function quoted(name: string): string {
  return clip(JSON.stringify(name));
}

function clip(text: string): string {
  return text.length <= gotCharsMax ? text : `${text.slice(0, gotCharsMax)}... (cut)`;
}
