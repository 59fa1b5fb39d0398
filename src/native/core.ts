/**
 * The open core: its functions, and the turning of a status into an error. One core a process;
 * Workers share its state.
 */
import { dlopen, JSCallback, read, toArrayBuffer } from "bun:ffi";
import { BitNetError, type ErrorCode } from "../errors/index.ts";
import {
  abiHash,
  BlockSizesLayout,
  CoreInfoLayout,
  functions,
  Isa,
  type IsaName,
  PoolLevel,
  Probe,
  Status,
} from "./abi.gen.ts";
import { locateCore } from "./locate.ts";
import { decodeStruct, encodeStruct, type StructValues } from "./structs.ts";

export { JSCallback, read, toArrayBuffer };

type Arg = number | NodeJS.TypedArray | ArrayBufferView | null;
type Declared = typeof functions;
type ArgEach<Words extends readonly string[]> = { -readonly [Index in keyof Words]: Arg };
/** As many arguments as the declaration has: one too few is a crash, not an error. */
type Functions = {
  [Name in keyof Declared]: (...args: ArgEach<Declared[Name]["args"]>) => number;
};

/** What the core runs on. */
export interface CoreInfo {
  threads: number;
  processors: number;
  isa: IsaName;
  /** Levels that this processor runs, plainest first. */
  isaLevels: IsaName[];
  /** Bytes of a page of memory. */
  pageSize: number;
}

export interface CoreOptions {
  /** The instruction-set level, `best` by default. */
  isa?: IsaName | "best";
  /** Threads of a run, by default one a processor. */
  threads?: number;
}

let symbols: Functions | undefined;

/**
 * The core's functions; the first call finds, loads and opens it. Sizes and counts are checked by
 * the callers before they get here.
 */
export function core(): Functions {
  if (symbols === undefined) {
    symbols = loadLibrary(locateCore());
    // In a Worker the core is open already, perhaps with other options than the environment's.
    if (readInfo(symbols).thread_count === 0) {
      configureMemory();
      const threads = process.env.BITNET_THREADS;
      openCore({
        isa: (process.env.BITNET_ISA || "best") as IsaName,
        threads: threads ? Number(threads) : 0,
      });
    }
  }
  return symbols;
}

/** Whether the core was needed yet. */
export function isCoreOpen(): boolean {
  return symbols !== undefined;
}

/**
 * Sets up the engine's memory as the environment wishes, before its first use:
 * BITNET_MEMORY_TRACKING (none, basic, standard, detailed), BITNET_MEMORY_DEBUG=1 for guards and
 * poison, BITNET_MEMORY_LIMIT in bytes.
 */
function configureMemory(): void {
  const { BITNET_MEMORY_TRACKING, BITNET_MEMORY_DEBUG, BITNET_MEMORY_LIMIT } = process.env;
  const name = BITNET_MEMORY_TRACKING || "basic";
  if (!Object.hasOwn(PoolLevel, name)) {
    throw new BitNetError(
      "native/invalid-argument",
      `BITNET_MEMORY_TRACKING: want ${Object.keys(PoolLevel).join(", ")}, got "${name}"`,
    );
  }
  const level = PoolLevel[name as keyof typeof PoolLevel];
  check(core().bn_memory_watch(level, BITNET_MEMORY_DEBUG ? 1 : 0), "watching the memory pool");
  if (!BITNET_MEMORY_LIMIT) return;
  const limit = core().bn_memory_limit(Number(BITNET_MEMORY_LIMIT));
  check(limit, `BITNET_MEMORY_LIMIT: want bytes, got "${BITNET_MEMORY_LIMIT}"`);
}

/** Throws the core's last error of this thread unless `status` is ok. */
export function check(status: number, doing: string): void {
  if (status === Status.ok) return;
  throw new BitNetError(codeOf(status), `${doing}: ${errorText()}`);
}

/**
 * Opens the core anew with another level or thread count; no run may be under way.
 * @throws BitNetError `native/unsupported-platform` when the processor lacks the level.
 */
export function openCore(options: CoreOptions = {}): void {
  const { isa = "best", threads = 0 } = options;
  if (!Number.isInteger(threads) || threads < 0 || threads > 64) {
    throw new BitNetError("native/invalid-argument", `threads: want 1 to 64, got ${threads}`);
  }
  const name = isa === "best" ? null : new TextEncoder().encode(isa);
  const status = core().bn_core_open(name, name?.byteLength ?? 0, threads);
  if (status === Status.ok) return;
  throw new BitNetError(
    codeOf(status),
    `BITNET_ISA "${isa}": ${errorText()}; this machine has ${coreInfo().isaLevels.join(", ")}`,
  );
}

/** What the core runs on. */
export function coreInfo(): CoreInfo {
  const info = readInfo(core());
  const names = Object.keys(Isa) as IsaName[];
  return {
    threads: info.thread_count,
    processors: info.thread_count_max,
    isa: names[info.isa]!,
    isaLevels: names.filter((name) => (info.isa_available & (1 << Isa[name])) !== 0),
    pageSize: info.page_size,
  };
}

function readInfo({ bn_core_info }: Functions): StructValues<typeof CoreInfoLayout> {
  const bytes = new Uint8Array(CoreInfoLayout.size);
  bn_core_info(bytes);
  return decodeStruct(CoreInfoLayout, bytes);
}

/** The blocks that products cut their operands into; 0 or nothing is the core's own choice. */
export interface BlockSizes {
  /** Columns of ternary weights unpacked at a time for many tokens: 256 to 8192. */
  readonly ternaryColumns?: number;
  /** Bytes of activations and sums such a product keeps at a time: 64 KiB to 2 MiB. */
  readonly ternarySize?: number;
  /** Columns that a dense product packs at a time: 32 to 65,536. */
  readonly denseColumns?: number;
}

/**
 * Sets the blocks of all runs from now on: their speed, never a bit of their results.
 * @throws BitNetError `native/invalid-argument` where a size is out of range.
 */
export function setBlockSizes(sizes: BlockSizes): void {
  const bytes = new DataView(new ArrayBuffer(BlockSizesLayout.size));
  const values = {
    ternary_columns: sizes.ternaryColumns ?? 0,
    ternary_size: sizes.ternarySize ?? 0,
    dense_columns: sizes.denseColumns ?? 0,
  };
  encodeStruct(BlockSizesLayout, values, { view: bytes, offset: 0 });
  check(core().bn_core_blocks(bytes), `blocks of ${JSON.stringify(sizes)}`);
}

export interface ProbeOptions {
  threads?: number;
  seconds?: number;
}

/** Measures a limit of this machine, in bytes or operations a second. Blocks the caller. */
export function probeMachine(kind: keyof typeof Probe, options: ProbeOptions = {}): number {
  const { threads = 0, seconds = 0.3 } = options;
  const result = new Float64Array(1);
  check(core().bn_core_probe(Probe[kind], threads, seconds, result), "measuring the machine");
  return result[0]!;
}

/** What `streamRate` moves in each pass. */
export interface Traffic {
  readBytes: number;
  writeBytes: number;
  /** Stores that leave nothing in the caches. */
  pastCaches?: boolean;
}

/**
 * Bytes a second of reading and writing so many bytes over and over, the median of the passes: what
 * a computation that does as much is measured by. Blocks the caller.
 */
export function streamRate(traffic: Traffic, options: ProbeOptions = {}): number {
  const { readBytes, writeBytes, pastCaches = false } = traffic;
  const { threads = 0, seconds = 0.3 } = options;
  const result = new Float64Array(1);
  const { bn_core_stream } = core();
  check(
    bn_core_stream(readBytes, writeBytes, pastCaches ? 1 : 0, threads, seconds, result),
    "measuring the machine",
  );
  return result[0]!;
}

function loadLibrary(path: string): Functions {
  let library: { symbols: Functions };
  try {
    library = dlopen(path, functions as never) as unknown as typeof library;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BitNetError("native/core-missing", `${path} cannot be loaded: ${reason}`, { cause });
  }
  const hash = library.symbols.bn_core_hash() >>> 0;
  if (hash !== abiHash) {
    throw new BitNetError(
      "native/core-mismatch",
      `${path} belongs to another version of bitnet-bun (contract ${hash.toString(16)}, want ` +
        `${abiHash.toString(16)}): run \`npm run build\`, or install the package again`,
    );
  }
  return library.symbols;
}

function errorText(): string {
  const buffer = new Uint8Array(512);
  const size = core().bn_error_text(buffer, buffer.byteLength);
  return new TextDecoder().decode(buffer.subarray(0, size));
}

function codeOf(status: number): ErrorCode {
  switch (status) {
    case Status.invalid_argument:
    case Status.too_costly:
      return "native/invalid-argument";
    case Status.invalid_handle:
      return "native/invalid-handle";
    case Status.invalid_program:
      return "native/invalid-program";
    case Status.out_of_memory:
      return "native/out-of-memory";
    case Status.io:
      return "native/io";
    case Status.aborted:
      return "native/aborted";
    case Status.run_failed:
      return "native/run-failed";
    case Status.in_use:
      return "native/in-use";
    case Status.unsupported:
      return "native/unsupported-platform";
    case Status.limit_reached:
      return "memory/limit-reached";
    case Status.double_free:
      return "memory/double-free";
    case Status.foreign_block:
      return "memory/foreign-block";
    case Status.guard_damaged:
      return "memory/guard-damaged";
    default:
      return "native/internal";
  }
}
