/**
 * What native work on one matrix after another keeps between them: buffers that grow, and Programs
 * by their shape.
 */
import { Graph, Program } from "../graph/index.ts";
import { alignedSize, Region } from "../native/index.ts";

export class Workbench implements Disposable {
  readonly #programs = new Map<string, Program>();
  readonly #buffers = new Map<string, Region>();

  /** A reused buffer of at least `size` bytes. */
  buffer(name: string, size: number): Region {
    const known = this.#buffers.get(name);
    if (known && known.size >= size) return known;
    known?.[Symbol.dispose]();
    const region = Region.create(alignedSize(size), { tag: "staging" });
    this.#buffers.set(name, region);
    return region;
  }

  /** The Program of this key, recorded when it is asked for first. */
  program(key: string, record: (graph: Graph) => void): Program {
    let program = this.#programs.get(key);
    if (!program) {
      const graph = new Graph();
      record(graph);
      program = new Program(graph);
      this.#programs.set(key, program);
    }
    return program;
  }

  [Symbol.dispose](): void {
    for (const program of this.#programs.values()) program[Symbol.dispose]();
    for (const region of this.#buffers.values()) region[Symbol.dispose]();
    this.#programs.clear();
    this.#buffers.clear();
  }
}
