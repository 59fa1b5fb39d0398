/**
 * What a pool's owner named as reclaimable: it goes, one thing after the other, before the pool's
 * limit refuses, and under pressure as all else does.
 */
import { BitNetError } from "../errors/index.ts";
import { Cleaner } from "./cleaner.ts";
import { ReclaimerList, type ReclaimProvider } from "./reclaimers.ts";
import { urgentStrategy } from "./strategies.ts";
import { reclaimers } from "./upkeep.ts";

/** Each round frees something; this bounds a list that promises without end. */
const roundsMax = 10_000;

export class PoolReclaim implements Disposable {
  readonly #list = new ReclaimerList();
  readonly #cleaner = new Cleaner(this.#list);
  readonly #registration: Disposable;
  #isMakingRoom = false;

  /** `bytesMax` is the pool's limit: nothing is given up for what could never fit. */
  constructor(readonly bytesMax: number) {
    this.#registration = reclaimers.registerFor(this.#list, (list, urgent) => list.items(urgent));
  }

  register(provider: ReclaimProvider): Disposable {
    return this.#list.register(provider);
  }

  /** Tries an allocation that the limit refuses again, as long as something can be freed. */
  allocating<T>(bytes: number, attempt: () => T): T {
    for (let round = 0; ; round += 1) {
      try {
        return attempt();
      } catch (error) {
        const isLimit = error instanceof BitNetError && error.code === "memory/limit-reached";
        const isHopeless = bytes > this.bytesMax || round === roundsMax;
        if (!isLimit || isHopeless || !this.#makeRoom()) throw error;
      }
    }
  }

  [Symbol.dispose](): void {
    this.#registration[Symbol.dispose]();
  }

  /** What a reclaimer allocates does not ask the reclaimers. */
  #makeRoom(): boolean {
    if (this.#isMakingRoom) return false;
    this.#isMakingRoom = true;
    try {
      // One thing at a time: how much is short only the next try tells.
      const pass = { strategy: urgentStrategy, level: "critical", bytes: 1, urgent: true } as const;
      return this.#cleaner.pass(pass).won > 0;
    } finally {
      this.#isMakingRoom = false;
    }
  }
}
