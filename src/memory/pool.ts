/**
 * The hybrid pool: native memory in blocks, for an app's own buffers and the engine's alike. Small
 * blocks come from size classes without a lock, those from 1 MiB up from a buddy allocator, the
 * largest are mappings of their own (docs/memory.md).
 */
import { BitNetError } from "../errors/index.ts";
import { engineHandle, NativePool, packManner, systemMemory } from "../native/index.ts";
import { type BlockHome, MemoryBlock } from "./block.ts";
import { callSite } from "./call-site.ts";
import { type LiveReport, liveReport } from "./live-blocks.ts";
import { type PoolMetrics, poolMetrics } from "./metrics.ts";
import { noteOpen } from "./open-pools.ts";
import {
  type AllocateOptions,
  checkAlign,
  checkPoolOptions,
  invalid,
  invalidSize,
  type PoolOptions,
  type TrackingLevel,
} from "./options.ts";
import { PoolReclaim } from "./pool-reclaim.ts";
import type { PressureEvent, PressureReading } from "./pressure.ts";
import { PressureMonitor } from "./pressure-monitor.ts";
import type { ReclaimProvider } from "./reclaimers.ts";
import { PoolReport } from "./report.ts";
import { MemoryScope, type ScopeHome } from "./scope.ts";

/** What `pool.on` tells of. */
export interface PoolEvents {
  /** How near memory is to its end has changed: the pool's limit, the process, the system. */
  pressure: PressureEvent;
  /** The pool was closed with blocks alive, which are freed now. */
  leak: LiveReport;
}

/** What another thread opens a pool by; it can be posted to a Worker. */
export interface SharedPool {
  readonly handle: number;
  readonly name: string;
}

/** Other threads name theirs in the same table, which holds twice as many. */
const labelsMax = 4000;

let engine: HybridMemoryPool | undefined;

/** Tells of tracked pools that the collector closed. */
const forgotten = new FinalizationRegistry((name: string) => {
  process.emitWarning(`pool "${name}" was forgotten: dispose of it, or declare it with using`, {
    type: "MemoryLeak",
  });
});

/** Aligned to 16, no tag, not zeroed. */
const plainAlign = 16;
const plainManner = packManner({ align: plainAlign, tag: 0, zeroed: false, sparse: false });

/**
 * A pool of native memory. Closing it frees every block in it and empties their views.
 *
 * @example
 * ```ts
 * using pool = new HybridMemoryPool({ maxBytes: 1 << 30 });
 * using block = pool.allocate(4096, { align: 64, tag: "samples" });
 * const samples = block.view(Float32Array); // 1024 numbers, native, not copied
 * ```
 */
export class HybridMemoryPool implements Disposable {
  readonly #native: NativePool;
  readonly #options: Required<PoolOptions>;
  readonly #home: BlockHome;
  readonly #findsCallSites: boolean;
  readonly #tags = new Map<string, number>();
  readonly #labels = new Map<string, number>();
  readonly #leakListeners = new Set<(report: LiveReport) => void>();
  readonly #listening = new Set<Disposable>();
  #pressure: PressureMonitor | undefined = undefined;
  /** From the first reclaimable on. */
  #reclaim: PoolReclaim | undefined = undefined;
  #scope: MemoryScope | undefined = undefined;

  /**
   * `native` is a pool that is there already, for `open`.
   * @throws BitNetError `memory/invalid-option`, `native/out-of-memory`
   */
  constructor(options: PoolOptions = {}, native?: NativePool) {
    const checked = checkPoolOptions(options);
    const { maxBytes, name, level, debug } = checked;
    const sizeMax = Number.isFinite(maxBytes) ? maxBytes : 0;
    const keepsHistory = debug || level === "detailed";
    this.#options = checked;
    this.#native = native ?? NativePool.create({ ...checked, sizeMax });
    this.#findsCallSites = keepsHistory;
    this.#home = { native: this.#native, name, keepsHistory, shown: new Set() };
    if (this.#native.handle === engineHandle) return;
    noteOpen(this.#native.handle, name);
    if (level !== "none" && level !== "basic") forgotten.register(this, name, this);
  }

  /** A pool that another thread shares. @throws BitNetError `memory/disposed` when it is closed */
  static open({ handle, name }: SharedPool): HybridMemoryPool {
    const native = NativePool.hold(handle);
    const { sizeMax, ...options } = native.options();
    const maxBytes = sizeMax === 0 ? Number.POSITIVE_INFINITY : sizeMax;
    return new HybridMemoryPool({ ...options, maxBytes, name }, native);
  }

  /**
   * The pool that the engine's weights, caches and buffers live in. It is open as long as the
   * process; BITNET_MEMORY_TRACKING says what it keeps.
   */
  static get engine(): HybridMemoryPool {
    engine ??= HybridMemoryPool.open({ handle: engineHandle, name: "engine" });
    return engine;
  }

  get name(): string {
    return this.#options.name;
  }

  get level(): TrackingLevel {
    return this.#options.level;
  }

  get closed(): boolean {
    return this.#native.released;
  }

  /**
   * A block of native memory.
   * @throws BitNetError `memory/invalid-option`; `memory/limit-reached` and `native/out-of-memory`
   *   with who holds what; `memory/disposed` when the pool is closed
   */
  allocate(bytes: number, options?: AllocateOptions): MemoryBlock {
    if (!(Number.isSafeInteger(bytes) && bytes >= 1)) throw invalidSize(bytes);
    let tag = 0;
    let manner = plainManner;
    if (options !== undefined) {
      const { align = plainAlign, zeroed = false, sparse = false } = options;
      tag = this.#tag(options.tag);
      manner = packManner({ align: checkAlign(align), tag, zeroed, sparse });
    }
    const isLabelled = options?.label !== undefined || this.#findsCallSites;
    const label = isLabelled ? this.#label(options?.label) : 0;
    const address =
      this.#reclaim === undefined
        ? this.#native.allocate(bytes, manner, label)
        : this.#allocateReclaiming(bytes, manner, label);
    const block = new MemoryBlock(this.#home, address, { size: bytes, tag });
    if (this.#scope !== undefined) this.#scope.own(block);
    return block;
  }

  /**
   * Frees a block, as disposing of it does, but strictly.
   * @throws BitNetError `memory/double-free` with the block's history in debug mode,
   *   `memory/foreign-block` for a block of another pool, and what disposing throws
   */
  free(block: MemoryBlock): void {
    if (!block.isOf(this.#home)) {
      throw new BitNetError(
        "memory/foreign-block",
        `want a block of pool "${this.name}" to free, got one of pool "${block.pool}"`,
      );
    }
    block.free();
  }

  /**
   * A scope: until it ends it owns what is allocated, unless an inner one does. An async function
   * shares the pool with what runs while it waits: there, let the scope own only what
   * `scope.allocate` gives, with `captures: false`.
   */
  scope({ captures = true }: { captures?: boolean } = {}): MemoryScope {
    if (this.closed) throw this.#disposed("opening a scope");
    const scope = new MemoryScope(this.#scopes, this.#scope);
    if (captures) this.#scope = scope;
    return scope;
  }

  /** What the pool holds. @throws BitNetError `memory/disposed` */
  metrics(): PoolMetrics {
    if (this.closed) throw this.#disposed("reading metrics");
    return poolMetrics(this.#native);
  }

  /** What is alive, with age and origin from level `standard` up. */
  live(): LiveReport {
    if (this.closed) throw this.#disposed("reading what is alive");
    return liveReport(this.#native, this.name);
  }

  /** All that the pool tells of itself: an object, a table, and a drawing of its use over time. */
  report(): PoolReport {
    if (this.closed) throw this.#disposed("reporting");
    return new PoolReport(this.#native, this.name);
  }

  /** How many blocks have damaged guards; 0 but in debug mode. */
  validate(): number {
    if (this.closed) throw this.#disposed("validating");
    return this.#native.validate();
  }

  /** Gives back to the system what is free. */
  trim(): void {
    if (this.closed) throw this.#disposed("trimming");
    this.#native.trim();
  }

  /**
   * Calls `handler` at each event until what this returns is disposed of, or the pool closed.
   * Pressure is looked at every 5 seconds, the oftener the higher it is, while someone listens.
   */
  on<E extends keyof PoolEvents>(event: E, handler: (event: PoolEvents[E]) => void): Disposable {
    if (this.closed) throw this.#disposed("listening");
    if (event === "pressure") {
      this.#pressure ??= new PressureMonitor({ read: () => this.#reading() });
      const listening = this.#pressure.on(handler as (event: PressureEvent) => void);
      this.#listening.add(listening);
      return listening;
    }
    if (event !== "leak") throw invalid("event", '"pressure" or "leak"', event);
    const listener = handler as (report: LiveReport) => void;
    this.#leakListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#leakListeners.delete(listener) };
  }

  /**
   * Lets the pool ask for what can be freed: under pressure, and as far as is needed before an
   * allocation fails. The provider names what is idle at that moment.
   */
  reclaimable(provider: ReclaimProvider): Disposable {
    if (this.closed) throw this.#disposed("registering what is reclaimable");
    this.#reclaim ??= new PoolReclaim(this.#options.maxBytes);
    return this.#reclaim.register(provider);
  }

  /** What `HybridMemoryPool.open` takes, in this thread or a Worker. */
  share(): SharedPool {
    if (this.closed) throw this.#disposed("sharing");
    return { handle: this.#native.handle, name: this.name };
  }

  /**
   * Closes the pool and tells what was alive. Blocks are freed and their views emptied; a pool
   * that other threads share goes on for them, and ends when the last of them closes it.
   * @throws BitNetError `memory/transferred` when a view was transferred away: then it stays open;
   *   `memory/invalid-option` for the engine's pool
   */
  close(): LiveReport {
    const live = this.live();
    if (this === engine) throw invalid("close", "a pool of your own", "the engine's");
    for (const block of [...this.#home.shown]) block.withdraw();
    this.#native.release();
    forgotten.unregister(this);
    this.#reclaim?.[Symbol.dispose]();
    this.#scope = undefined;
    for (const listening of this.#listening) listening[Symbol.dispose]();
    if (live.count === 0) return live;
    for (const listener of this.#leakListeners) listener(live);
    if (this.#leakListeners.size === 0 && live.blocks.length > 0) {
      process.emitWarning(`closed with blocks alive: ${live}`, "MemoryLeak");
    }
    return live;
  }

  /** As `close`. A second time is harmless, and the engine's pool stays open. */
  [Symbol.dispose](): void {
    if (!this.closed && this !== engine) this.close();
  }

  /** The scopes' way back. */
  readonly #scopes: ScopeHome = {
    allocateInto: (scope, bytes, options) => {
      const innermost = this.#scope;
      this.#scope = scope;
      try {
        return this.allocate(bytes, options);
      } finally {
        this.#scope = innermost;
      }
    },
    leave: (scope) => {
      if (this.#scope === scope) this.#scope = scope.around;
    },
  };

  /** Apart from `allocate`, whose variables no function may capture: that costs each call. */
  #allocateReclaiming(bytes: number, manner: number, label: number): number {
    return this.#reclaim!.allocating(bytes, () => this.#native.allocate(bytes, manner, label));
  }

  #tag(name: string | undefined): number {
    if (name === undefined) return 0;
    let number = this.#tags.get(name);
    if (number === undefined) {
      if (typeof name !== "string") throw invalid("tag", "a text", name);
      number = this.#native.number("tag", name);
      this.#tags.set(name, number);
    }
    return number;
  }

  /** A pool knows several thousand labels; what comes beyond has none. */
  #label(given: string | undefined): number {
    const name = given ?? callSite();
    if (typeof name !== "string") throw invalid("label", "a text", name);
    let number = this.#labels.get(name);
    if (number === undefined) {
      number = this.#labels.size < labelsMax ? this.#native.number("label", name) : 0;
      this.#labels.set(name, number);
    }
    return number;
  }

  #reading(): PressureReading {
    const { held, size_max } = this.#native.metrics();
    const isLimited = size_max <= Number.MAX_SAFE_INTEGER;
    return { system: systemMemory(), ...(isLimited && { pool: { held, limit: size_max } }) };
  }

  #disposed(doing: string): BitNetError {
    return new BitNetError("memory/disposed", `${doing}: pool "${this.name}" is closed`);
  }
}
