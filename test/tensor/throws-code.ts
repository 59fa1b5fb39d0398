/** Expects a refusal by its code, and gives its message. */
import { expect } from "bun:test";
import { BitNetError, type ErrorCode } from "../../src/errors/index.ts";

export function throwsCode(code: ErrorCode, action: () => unknown): string {
  let thrown: unknown;
  try {
    action();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(BitNetError);
  expect((thrown as BitNetError).code).toBe(code);
  return (thrown as BitNetError).message;
}
