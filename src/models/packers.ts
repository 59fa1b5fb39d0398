/**
 * Packers that take turns, so that matrices wait in the core while one is packed. As many are under
 * way as there are packers. They share what holds for one run at a time: the staging buffer, which
 * each run fills when its turn has come, and the Programs.
 */
import { Packer } from "./packer.ts";
import { ReadAhead } from "./read-ahead.ts";
import { Workbench } from "./workbench.ts";

export class Packers implements Disposable {
  readonly #shared = { ahead: new ReadAhead(), bench: new Workbench() };
  readonly #all: Packer[];
  readonly #free: Packer[];
  readonly #waiting: ((packer: Packer) => void)[] = [];

  constructor(count: number, signal: AbortSignal) {
    this.#all = Array.from({ length: count }, () => new Packer(signal, this.#shared));
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
    this.#shared.bench[Symbol.dispose]();
  }
}
