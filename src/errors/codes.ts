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
  "native/in-use",
  "native/internal",

  // Graphs: what cannot be differentiated.
  "graph/no-gradient",

  // Tensors: shapes, axes, dtypes, indices.
  "tensor/shape-mismatch",
  "tensor/bad-shape",
  "tensor/axis-out-of-range",
  "tensor/index-out-of-range",
  "tensor/bad-index",
  "tensor/bad-dtype",
  "tensor/bad-seed",
  "tensor/bad-subscripts",
  "tensor/needs-copy",
  "tensor/not-a-scalar",
  "tensor/read-while-compiling",
  "tensor/disposed",

  // Memory pools, their blocks and scopes.
  "memory/invalid-option",
  "memory/invalid-range",
  "memory/limit-reached",
  "memory/disposed",
  "memory/double-free",
  "memory/foreign-block",
  "memory/guard-damaged",
  "memory/transferred",
  "memory/file-too-short",
  "memory/no-timeline",

  // Converting memory from one dtype to another.
  "memory/wrong-size",
  "memory/misaligned",
  "memory/overlap",

  // Checkpoint files: finding, opening, checking them.
  "checkpoint/not-found",
  "checkpoint/is-directory",
  "checkpoint/not-a-file",
  "checkpoint/unreadable",
  "checkpoint/not-a-model",
  "checkpoint/bad-option",
  "checkpoint/missing-weights",
  "checkpoint/missing-shard",
  "checkpoint/missing-tensor",
  "checkpoint/broken-index",
  "checkpoint/unsafe-path",
  "checkpoint/truncated",
  "checkpoint/header-too-large",
  "checkpoint/file-too-large",
  "checkpoint/broken-header",
  "checkpoint/broken-json",
  "checkpoint/broken-utf8",
  "checkpoint/unknown-dtype",
  "checkpoint/unknown-tensor-type",
  "checkpoint/unknown-value-type",
  "checkpoint/shape-mismatch",
  "checkpoint/size-overflow",
  "checkpoint/too-many-dimensions",
  "checkpoint/too-many-tensors",
  "checkpoint/too-many-keys",
  "checkpoint/string-too-long",
  "checkpoint/array-too-long",
  "checkpoint/duplicate-tensor",
  "checkpoint/duplicate-key",
  "checkpoint/overlap",
  "checkpoint/gap",
  "checkpoint/out-of-range",
  "checkpoint/trailing-bytes",
  "checkpoint/misaligned",
  "checkpoint/unsupported-version",
  "checkpoint/big-endian",
  "checkpoint/split-file",
  "checkpoint/bad-alignment",
  "checkpoint/bad-metadata",
  "checkpoint/unwritable",

  // Packings of weights: bytes that do not fit their shape or their format.
  "quant/wrong-length",
  "quant/not-ternary",
  "quant/broken-packing",

  // Linear algebra: matrices that do not fit, or have no answer.
  "linalg/shape-mismatch",
  "linalg/invalid-option",
  "linalg/not-finite",
  "linalg/not-converged",
  "linalg/not-positive-definite",
  "linalg/singular",

  // Tokenizers and chat templates.
  "text/missing-tokenizer",
  "text/invalid-tokenizer",
  "text/invalid-vocabulary",
  "text/unsupported-tokenizer",
  "text/unknown-pre-tokenizer",
  "text/token-out-of-range",
  "text/invalid-text",
  "text/invalid-messages",
  "text/invalid-chat-template",
  "text/chat-template-failed",

  // Names to local files: the hub and the cache.
  "hub/invalid-name",
  "hub/invalid-option",
  "hub/not-found",
  "hub/unauthorized",
  "hub/unreachable",
  "hub/bad-response",
  "hub/offline",
  "hub/unsafe-path",
  "hub/hash-mismatch",
  "hub/size-mismatch",
  "hub/no-model-files",
  "hub/cache-io",

  // Generating: options and a model's generation_config.json.
  "generate/invalid-option",
  "generate/invalid-config",
  // Models: what a configuration and its tensors say.
  "models/bad-config",
  "models/unknown-architecture",
  "models/missing-tensor",
  "models/shape-mismatch",
  "models/unexpected-dtype",
  "models/bad-scale",
  "models/not-finite",
  "models/no-gguf-form",
  "models/no-folder-form",
  // The engine: loading and running a model.
  "engine/too-large",
  "engine/invalid-option",
  "engine/token-out-of-range",
  "engine/prompt-too-long",
  "engine/empty-prompt",
  "engine/already-read",
  "engine/no-chat-template",
  "engine/disposed",

  // The command: calls that make no sense, and failures of its own.
  "cli/unknown-command",
  "cli/unknown-option",
  "cli/missing-value",
  "cli/invalid-value",
  "cli/missing-argument",
  "cli/unexpected-argument",
  "cli/prompt-too-long",
  "cli/file-exists",
] as const;

/** A stable name of a kind of failure, e.g. `checkpoint/truncated`. */
export type ErrorCode = (typeof errorCodes)[number];
