/** The one error class of the library. */
import type { ErrorCode } from "./codes.ts";

/**
 * Every error this library throws on purpose. Match on `code`; the message is for people: it says
 * what was wanted, what came, where, and the remedy.
 *
 * @example
 * ```ts
 * try {
 *   await load("./model");
 * } catch (error) {
 *   if (error instanceof BitNetError && error.code === "checkpoint/truncated") pullAgain();
 * }
 * ```
 */
export class BitNetError extends Error {
  override readonly name = "BitNetError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
