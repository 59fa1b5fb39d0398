/**
 * Recording: a graph collects instructions in the order they are asked for, with the values they
 * read and make. A Program is compiled of it.
 */
import type { DTypeName, LayoutName, OpName } from "../native/index.ts";
import { type Dim, dimOf, type Sym } from "./dims.ts";
import { type ApplyOptions, type FeedbackLink, type Recorded, record } from "./record.ts";
import {
  type Node,
  packedDType,
  type Storage,
  sizeAtMax,
  Value,
  type Weight,
  weightSize,
} from "./value.ts";

export interface StateShape {
  dtype: DTypeName;
  dims: readonly Dim[];
  /** In bytes from the state's beginning. */
  offset?: number;
}

export class Graph implements Recorded {
  readonly nodes: Node[] = [];
  readonly feedbacks: FeedbackLink[] = [];
  /** Storages that a run fills, binds or reads, by name, in the order of their making. */
  readonly storages = new Map<string, Storage>();
  readonly #constants = new Map<object, Storage>();

  /** A value that each run brings along. */
  input(name: string, dtype: DTypeName, dims: readonly (Dim | Sym)[]): Value {
    return this.#named("input", name, { dtype, dims: dims.map(dimOf) });
  }

  /** A value that the run leaves in a region of the caller's. */
  output(name: string, dtype: DTypeName, dims: readonly (Dim | Sym)[]): Value {
    return this.#named("output", name, { dtype, dims: dims.map(dimOf) });
  }

  /** Memory of `size` bytes that outlives the run; values of it are made by `stateValue`. */
  state(name: string, size: number): Storage {
    return this.#keep({ kind: "state", name, size });
  }

  stateValue(storage: Storage, shape: StateShape): Value {
    return new Value({ storage, ...shape });
  }

  /** A packed matrix at the beginning of a state's memory. */
  packedState(storage: Storage, layout: LayoutName, shape: readonly [number, number]): Value {
    return new Value({ storage, layout, dtype: packedDType(layout), dims: shape });
  }

  /** A model's weight; the program keeps its region bound. */
  constant(weight: Weight): Value {
    const { dtype, layout, shape, offset, rowScale } = weight;
    if (offset + weightSize(weight) > weight.region.size) {
      throw new Error(`a weight ends at ${offset + weightSize(weight)} of ${weight.region.size}`);
    }
    return new Value({
      storage: this.#constantStorage(weight),
      dtype,
      layout,
      dims: shape,
      offset,
      ...(rowScale ? { rowScale: this.constant(rowScale) } : {}),
    });
  }

  /** Records an instruction and returns its outputs. */
  apply(op: OpName, inputs: readonly Value[], options: ApplyOptions = {}): Value[] {
    const node = record(op, inputs, options);
    this.nodes.push(node);
    return node.outputs;
  }

  /** An instruction with one output. */
  one(op: OpName, inputs: readonly Value[], options: ApplyOptions = {}): Value {
    return this.apply(op, inputs, options)[0]!;
  }

  /** Before each next step `to` takes the content of `from`. */
  feedback(from: Value, to: Value): void {
    this.feedbacks.push({ from, to });
  }

  #named(kind: Storage["kind"], name: string, shape: { dtype: DTypeName; dims: Dim[] }): Value {
    const storage = this.#keep({ kind, name, size: sizeAtMax(shape.dtype, shape.dims) });
    return new Value({ storage, ...shape });
  }

  #keep(storage: Storage): Storage {
    if (this.storages.has(storage.name)) throw new Error(`two regions named ${storage.name}`);
    this.storages.set(storage.name, storage);
    return storage;
  }

  #constantStorage(weight: Weight): Storage {
    const { region } = weight;
    const known = this.#constants.get(region);
    if (known) return known;
    const name = `constant ${this.#constants.size}`;
    const storage = this.#keep({ kind: "constant", name, size: region.size, region });
    this.#constants.set(region, storage);
    return storage;
  }
}
