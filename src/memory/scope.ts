/**
 * A scope owns blocks and frees them when it ends, last first. While it is open and the innermost
 * of its pool, it owns what `pool.allocate` gives; what it keeps goes to the scope around it.
 */
import { BitNetError } from "../errors/index.ts";
import type { MemoryBlock } from "./block.ts";
import type { AllocateOptions } from "./options.ts";

/** What a scope needs of its pool. */
export interface ScopeHome {
  /** Allocates into the scope. */
  allocateInto(scope: MemoryScope, bytes: number, options?: AllocateOptions): MemoryBlock;
  /** The scope has ended: where it was the innermost, the one around it is. */
  leave(scope: MemoryScope): void;
}

/** Made by `pool.scope` alone. */
export class MemoryScope implements Disposable {
  readonly #home: ScopeHome;
  readonly #outer: MemoryScope | undefined;
  readonly #blocks = new Set<MemoryBlock>();
  #isOpen = true;

  /** @internal */
  constructor(home: ScopeHome, around: MemoryScope | undefined) {
    this.#home = home;
    this.#outer = around;
  }

  /** Blocks that it would free now. */
  get size(): number {
    return this.#blocks.size;
  }

  /** Allocates into this scope, whichever is the innermost. @throws BitNetError as the pool's */
  allocate(bytes: number, options?: AllocateOptions): MemoryBlock {
    this.#requireOpen();
    return this.#home.allocateInto(this, bytes, options);
  }

  /**
   * Lets a block outlive this scope: the scope around it owns it then, or nobody.
   * @throws BitNetError `memory/foreign-block` when this scope does not own it
   */
  keep(block: MemoryBlock): MemoryBlock {
    this.#requireOpen();
    if (block.scope !== this) {
      throw new BitNetError(
        "memory/foreign-block",
        `want a block of this scope to keep, got one of ${block.size} bytes that it does not own`,
      );
    }
    this.#blocks.delete(block);
    block.scope = undefined;
    this.around?.own(block);
    return block;
  }

  /** Frees what it owns. A second time is harmless. @throws BitNetError as the blocks' disposal */
  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#home.leave(this);
    const errors: unknown[] = [];
    for (const block of [...this.#blocks].reverse()) {
      block.scope = undefined;
      try {
        block[Symbol.dispose]();
      } catch (error) {
        errors.push(error);
      }
    }
    this.#blocks.clear();
    if (errors.length > 0) throw errors[0];
  }

  /** @internal */
  own(block: MemoryBlock): void {
    block.scope = this;
    this.#blocks.add(block);
  }

  /** @internal */
  forget(block: MemoryBlock): void {
    this.#blocks.delete(block);
  }

  /** @internal The nearest scope around this one that is still open. */
  get around(): MemoryScope | undefined {
    const outer = this.#outer;
    return outer === undefined || outer.#isOpen ? outer : outer.around;
  }

  #requireOpen(): void {
    if (this.#isOpen) return;
    throw new BitNetError("memory/disposed", "a memory scope was used after its end");
  }
}
