/**
 * Every error code of the library: `area/kebab-case`. A code, once released, keeps its meaning.
 * The message of an error is for people and may change; programs match on the code.
 */
export const errorCodes = [
  // The native core: finding it, talking to it.
  "native/core-missing",
  "native/core-mismatch",
  "native/unsupported-platform",
  "native/out-of-memory",
  "native/invalid-argument",
  "native/invalid-handle",
  "native/invalid-program",
  "native/run-failed",
  "native/aborted",
  "native/disposed",
  "native/io",
  "native/internal",
] as const;

/** A stable name of a kind of failure, e.g. `checkpoint/truncated`. */
export type ErrorCode = (typeof errorCodes)[number];
