/**
 * Packers that take turns, so that the next matrices wait in the core while one is packed. As many
 * are under way, each with a staging buffer of its own, as there are packers.
 */
import { Packer } from "./packer.ts";
import { ReadAhead } from "./read-ahead.ts";

/** One matrix is packed, one is next, and one is handed on by JavaScript. */
const packerCount = 3;

export class Packers implements Disposable {
  readonly #all: Packer[];
  readonly #free: Packer[];
  readonly #waiting: ((packer: Packer) => void)[] = [];

  constructor(signal: AbortSignal) {
    const ahead = new ReadAhead();
    this.#all = Array.from({ length: packerCount }, () => new Packer(signal, ahead));
    this.#free = [...this.#all];
  }

  /** Works with a packer once one is free; who asks first is served first. */
  async use<Result>(work: (packer: Packer) => Promise<Result>): Promise<Result> {
    const packer =
      this.#free.shift() ??
      (await new Promise<Packer>((resolve) => {
        this.#waiting.push(resolve);
      }));
    try {
      return await work(packer);
    } finally {
      const next = this.#waiting.shift();
      if (next) next(packer);
      else this.#free.push(packer);
    }
  }

  /** Once nothing is under way. */
  [Symbol.dispose](): void {
    for (const packer of this.#all) packer[Symbol.dispose]();
  }
}
