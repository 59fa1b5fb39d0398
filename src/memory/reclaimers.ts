/**
 * The one list of what can be freed: caches that can be made again, pages that nobody needs now,
 * memory kept for reuse. Owners register a provider, which names what it could free at this moment;
 * what is in use is never named, and looked at once more before anything is freed.
 */

/** Something that can be freed now and costs no more than time. */
export interface Reclaimable {
  /** For people: what it is, of whom. */
  readonly name: string;
  readonly device: string;
  /** The lower, the sooner it is asked: see `ReclaimPriority`. */
  readonly priority: number;
  /** Bytes it would give, as far as that is known beforehand. */
  readonly bytes: number | null;
  /** Milliseconds of the clock at its last use. */
  readonly usedAt: number;
  /** Seconds that making it again takes, if it is wanted again; 0 for nothing. */
  readonly costSeconds: number;
  /** How often it was wanted again after it had lain idle. */
  readonly reuseCount: number;
  /**
   * Frees it and returns the bytes won. Looks first whether it is still idle: in use by now, it
   * returns 0 or throws `native/in-use`.
   */
  reclaim(): number;
}

/** The order in which things are asked. */
export const ReclaimPriority = {
  /** Memory that nothing is in: pages past the end of a cache, freed blocks kept for reuse. */
  empty: 0,
  /** Pages of files, which the system reads again by itself. */
  file: 1,
  /** What the collector would free one day. */
  garbage: 2,
  /** What is made again in milliseconds. */
  quick: 3,
  /** What is computed again at a price: caches of keys and values. */
  computed: 4,
} as const;

/** What an owner could free now. `urgent`: an allocation is about to fail. */
export type ReclaimProvider = (urgent: boolean) => Iterable<Reclaimable>;

export class ReclaimerList {
  readonly #providers = new Set<ReclaimProvider>();
  /** Ends the registrations of owners that were forgotten. */
  readonly #forgotten = new FinalizationRegistry((registration: Disposable) => {
    registration[Symbol.dispose]();
  });
  readonly #listeners = new Set<() => void>();

  get size(): number {
    return this.#providers.size;
  }

  /** Adds a provider until what this returns is disposed of. */
  register(provider: ReclaimProvider): Disposable {
    this.#providers.add(provider);
    this.#changed();
    return {
      [Symbol.dispose]: () => {
        this.#providers.delete(provider);
        this.#changed();
      },
    };
  }

  /** As `register`, but does not keep `owner` alive. */
  registerFor<T extends object>(
    owner: T,
    provider: (owner: T, urgent: boolean) => Iterable<Reclaimable>,
  ): Disposable {
    const weak = new WeakRef(owner);
    const registration = this.register((urgent) => {
      const alive = weak.deref();
      return alive ? provider(alive, urgent) : [];
    });
    this.#forgotten.register(owner, registration, registration);
    return registration;
  }

  /** All that could be freed now, in the order in which it is asked. */
  items(urgent = false): Reclaimable[] {
    return [...this.#providers].flatMap((provider) => [...provider(urgent)]).sort(compare);
  }

  /** Calls back when a provider comes or goes. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** By priority, then what is cheapest to make again for its size, then what lay idle longest. */
function compare(a: Reclaimable, b: Reclaimable): number {
  return a.priority - b.priority || pricePerByte(a) - pricePerByte(b) || a.usedAt - b.usedAt;
}

function pricePerByte({ costSeconds, bytes }: Reclaimable): number {
  return costSeconds / Math.max(1, bytes ?? 1);
}
