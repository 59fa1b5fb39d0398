/** What a refusal must be: a BitNetError with the code, whose message names the file. */
import { expect } from "bun:test";
import { basename } from "node:path";
import { BitNetError, type ErrorCode } from "../../src/errors/index.ts";

export async function expectRefusal(
  outcome: Promise<unknown>,
  code: ErrorCode,
  file: string,
): Promise<BitNetError> {
  const error: unknown = await outcome.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof BitNetError)) throw new Error(`want ${code}, got ${String(error)}`);
  expect(`${error.code}: ${error.message}`).toStartWith(`${code}: `);
  expect(error.message).toContain(basename(file));
  expect(error.message).toContain("expected ");
  expect(error.message).toContain(", got ");
  return error;
}
