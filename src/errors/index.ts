/** What every folder above may throw: one error class and its stable codes. */
export { BitNetError } from "./bitnet-error.ts";
export { type ErrorCode, errorCodes } from "./codes.ts";
