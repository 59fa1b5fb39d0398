/** Expects a refusal by its code. */
import { expect } from "bun:test";
import { BitNetError, type ErrorCode } from "../../src/errors/index.ts";

export function throwsCode(code: ErrorCode, action: () => unknown): void {
  let thrown: unknown;
  try {
    action();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(BitNetError);
  expect((thrown as BitNetError).code).toBe(code);
}
