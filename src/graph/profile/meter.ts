/** Measures one Program: what its runs did, beside the times that the core takes. */
import type { NativeProgram } from "../../native/index.ts";
import { formatDims } from "../dims.ts";
import type { Step } from "../plan.ts";
import type { Node, Value } from "../value.ts";
import { type Cost, costOf } from "./cost.ts";
import type { ProgramProfile } from "./rows.ts";

/** Single instructions that are kept by default: 16 bytes each. */
const eventsDefault = 1 << 16;

export interface ProfileOptions {
  /** Single instructions to keep for drawings and traces, the first that run. */
  events?: number;
}

export class ProfileMeter {
  readonly #bytes: Float64Array;
  readonly #operations: Float64Array;
  readonly #events: number;
  #calls = 0;
  /** By the values of the symbols. */
  readonly #costs = new Map<string, Cost[]>();

  /** From now on the core takes times. */
  constructor(
    readonly native: NativeProgram,
    readonly steps: readonly Step[],
    { events = eventsDefault }: ProfileOptions = {},
  ) {
    this.#bytes = new Float64Array(steps.length);
    this.#operations = new Float64Array(steps.length);
    this.#events = events;
    native.startProfile({ events });
  }

  /** So many steps ran, with these values of the symbols. */
  add(syms: Readonly<Record<string, number>>, count: number): void {
    this.#calls += count;
    const key = JSON.stringify(syms);
    let costs = this.#costs.get(key);
    if (!costs) {
      costs = this.steps.map(({ node }) => costOf(node, syms));
      this.#costs.set(key, costs);
    }
    costs.forEach(({ bytes, operations }, index) => {
      this.#bytes[index]! += count * bytes;
      this.#operations[index]! += count * operations;
    });
  }

  /** What was measured so far, under the Program's name. */
  read(program: string): ProgramProfile {
    const times = this.native.profile();
    const { events, count } = this.native.profileEvents(this.#events);
    const instructions = this.steps.map(({ node }, index) => ({
      op: node.op,
      shapes: shapesOf(node),
      calls: this.#calls,
      seconds: times[index]! / 1e9,
      bytes: this.#bytes[index]!,
      operations: this.#operations[index]!,
    }));
    return { program, instructions, events, ran: count };
  }
}

function shapesOf({ inputs, outputs }: Node): string {
  const all = (values: readonly Value[]): string =>
    values
      .map(
        ({ dtype, layout, dims }) => `${layout === "strided" ? dtype : layout}${formatDims(dims)}`,
      )
      .join(", ");
  return `${all(inputs)} -> ${all(outputs)}`;
}
