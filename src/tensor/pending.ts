/**
 * What tensors have asked for and nobody has computed yet: instructions in the order of their
 * recording. They run together when a value is wanted, or when enough has gathered. Traces of the
 * same structure share one compiled Program, found by a key that is written while recording;
 * numbers beside tensors are data of a run, not of the structure.
 *
 * What no other instruction of the trace reads is kept in memory of its own. What was only read is
 * not; asked for later, it is computed once more, and kept then.
 */
import { BitNetError } from "../errors/index.ts";
import { type ApplyOptions, type Node, record, type Storage, type Value } from "../graph/index.ts";
import type { OpName } from "../native/index.ts";
import { NumberStorage } from "./numbers.ts";
import { Flight, runTrace, type Trace } from "./run-trace.ts";
import { isTaping } from "./tape.ts";

const nodesMax = 256;
const bytesMax = 64 << 20;

/** A storage of the trace. */
interface Entry {
  readonly id: number;
  /** The view of it that was seen first. */
  readonly whole: Value;
  uses: number;
  /** Made here, and to be kept whether or not something reads it. */
  keep: boolean;
  dropped: boolean;
}

export interface FlushOptions {
  keepAll?: boolean;
}

export class Pending {
  #nodes: Node[] = [];
  #entries = new Map<Storage, Entry>();
  #made: Storage[] = [];
  #leaves: Storage[] = [];
  /** Memory of computed tensors that an instruction of the trace writes to. */
  #written = new Set<Storage>();
  #key = "";
  #bytes = 0;
  #numbers: NumberStorage | undefined;
  #capturing = false;
  /** What runs while JavaScript goes on: at most one trace, and no other runs before it landed. */
  #flight: Flight | undefined;
  /** Why what was under way has failed; what was recorded of it meanwhile fails with it. */
  #failure: BitNetError | undefined;

  /** Whether a function is being recorded, to be run later. */
  get isCapturing(): boolean {
    return this.#capturing;
  }

  /** Records an instruction and gives its outputs; runs what has gathered when it is enough. */
  apply(op: OpName, inputs: readonly Value[], options: ApplyOptions = {}): Value[] {
    const enough = this.#nodes.length >= nodesMax || this.#bytes >= bytesMax;
    // Nothing that may fail runs together with a write: the write would count as failed, too.
    const apart = this.#written.size > 0 && refusesData.has(op);
    if ((enough || apart) && !this.#capturing) this.flush();
    const node = record(op, inputs, options);
    this.#push(node, options.into !== undefined);
    return node.outputs;
  }

  /** A number as a value without dimensions. */
  number(value: number, dtype: "f32" | "f64" | "i32"): Value {
    if (!this.#numbers || this.#numbers.full) this.#numbers = new NumberStorage();
    return this.#numbers.add(value, dtype);
  }

  /** What is recorded meanwhile, not run: the values that come back are its roots. */
  capture(record: () => readonly Value[]): Trace {
    this.flush();
    this.#join();
    this.#capturing = true;
    try {
      const seen = new Set<Storage>();
      const roots = record().map((value) => {
        const whole = value.storage.producer?.outputs.includes(value);
        const own = isPending(value.storage) && whole && !seen.has(value.storage);
        const root = own ? value.storage : this.apply("copy", [value])[0]!.storage;
        seen.add(root);
        return root;
      });
      return { nodes: this.#nodes, leaves: this.#leaves, roots, key: this.#key };
    } finally {
      this.#capturing = false;
      this.#forget();
    }
  }

  /** Somebody will ask for it, even if something else in the trace reads it. */
  keep(storage: Storage): void {
    const entry = this.#entries.get(storage);
    if (entry) entry.keep = true;
  }

  /**
   * Nobody will ask for it any more: if it is not computed it need not be, and memory that it has
   * for itself goes back, unless something may be computed of it again.
   */
  release(storage: Storage): void {
    const entry = this.#entries.get(storage);
    if (entry) entry.dropped = true;
    if (isPending(storage)) return;
    if (entry) this.flush();
    const { region, base, size, borrowed } = storage;
    if (borrowed || !region || base !== 0 || region.size > Math.max(64, size)) return;
    region[Symbol.dispose]();
    storage.region = undefined;
  }

  /** Whether the storage's elements are there to be read. */
  isComputed(storage: Storage): boolean {
    return !isPending(storage) && !this.#flight?.roots.has(storage);
  }

  /**
   * Runs what is needed for the storage to have its memory.
   * @throws BitNetError of the instructions that lead to it, or of an earlier write into it
   */
  require(storage: Storage): void {
    if (this.#flight?.roots.has(storage)) this.#join();
    this.keep(storage);
    if (this.#written.has(storage)) this.#run();
    else if (this.#written.size > 0) this.flush();
    throwFailure(storage);
    if (!isPending(storage)) return;
    const entry = this.#entries.get(storage) ?? this.#again(storage);
    entry.keep = true;
    this.flush();
    if (!isPending(storage)) return;
    // Something in the trace failed; perhaps nothing that this value needs.
    this.#again(storage).keep = true;
    this.#run();
  }

  /**
   * As `require`, while JavaScript goes on. Whoever reads what is under way, or runs something else
   * meanwhile, waits for it.
   */
  async ready(storage: Storage): Promise<void> {
    while (this.#flight) await this.#landing(this.#flight);
    if (this.#written.size > 0) this.flush();
    if (isPending(storage)) await this.#flown(storage);
    // Alone, if something in the trace failed: perhaps nothing that this value needs.
    this.require(storage);
  }

  async #flown(storage: Storage): Promise<void> {
    const entry = this.#entries.get(storage) ?? this.#again(storage);
    entry.keep = true;
    try {
      const trace = this.#taken();
      const flight = new Flight(trace);
      this.#flight = flight;
      markBorrowed(trace);
      await this.#landing(flight);
    } catch (error) {
      if (!(error instanceof BitNetError)) throw error;
    }
  }

  async #landing(flight: Flight): Promise<void> {
    await flight.landed;
    if (this.#flight === flight) this.#join();
  }

  /** Waits for what is under way. If it failed it is pending again. */
  #join(): void {
    if (!this.#flight) return;
    this.#flight.join();
    this.#failure = this.#flight.error;
    this.#flight = undefined;
  }

  /**
   * Runs all that is pending. With `keepAll` what was only read is kept, too. What fails stays
   * uncomputed, and memory that it was to write to is marked: whoever asks for it hears why.
   */
  flush(options: FlushOptions = {}): void {
    try {
      this.#run(options);
    } catch (error) {
      if (!(error instanceof BitNetError)) throw error;
    }
  }

  #run(options?: FlushOptions): void {
    if (this.#nodes.length === 0) return;
    const madeCount = this.#made.length;
    const trace = this.#taken(options);
    runTrace(trace);
    if (trace.roots.length < madeCount) markBorrowed(trace);
  }

  /**
   * What has gathered, to be run; nothing is pending any more.
   * @throws BitNetError of what was under way, if some of it was made of that
   */
  #taken({ keepAll = false }: FlushOptions = {}): Trace {
    if (this.#capturing) {
      throw new BitNetError(
        "tensor/read-while-compiling",
        "a compiled function read elements of a tensor while it was recorded: return the tensor " +
          "and read it outside, or leave the function uncompiled",
      );
    }
    this.#join();
    const failure = this.#failure;
    this.#failure = undefined;
    const roots: Storage[] = [];
    let rootKey = "";
    for (const storage of this.#made) {
      const { uses, keep, dropped, id } = this.#entries.get(storage)!;
      if (dropped || !(keep || keepAll || (uses === 0 && !isAside(storage)))) continue;
      roots.push(storage);
      rootKey += `${id},`;
    }
    const key = this.#key + (roots.length === this.#made.length ? "all" : rootKey);
    const trace = { nodes: this.#nodes, leaves: this.#leaves, roots, key };
    this.#forget();
    if (failure && trace.leaves.some(isPending)) throw failure;
    return trace;
  }

  #push(node: Node, writes: boolean): void {
    let key = `${node.op}(`;
    for (const input of node.inputs) {
      key += this.#read(input);
      if (input.rowScale) key += `*${this.#read(input.rowScale)}`;
    }
    // Behind those that make its inputs, which may have been recorded once more just now.
    this.#nodes.push(node);
    for (const name in node.attrs) key += `${name}=${node.attrs[name]} `;
    for (const output of node.outputs) {
      if (writes) {
        key += `>${this.#entry(output).id}${signature(output)}`;
        this.#written.add(output.storage);
        continue;
      }
      key += output.dtype;
      if (shapedByCaller.has(node.op)) key += `${output.layout}[${output.dims.join()}]`;
      this.#add(output);
      this.#made.push(output.storage);
      this.#bytes += output.storage.size;
    }
    this.#key += `${key})`;
  }

  /** How an instruction's key names what it reads. */
  #read(input: Value): string {
    const entry = this.#entry(input);
    entry.uses += 1;
    return entry.whole === input ? `${entry.id} ` : `${entry.id}${signature(input)} `;
  }

  #entry(value: Value): Entry {
    const known = this.#entries.get(value.storage);
    if (known) return known;
    if (isPending(value.storage)) {
      // Read by two traces: worth keeping.
      const entry = this.#again(value.storage);
      entry.keep = true;
      return entry;
    }
    throwFailure(value.storage);
    this.#leaves.push(value.storage);
    this.#key += `${value.storage.kind}${signature(value)}${value.storage.size};`;
    return this.#add(value);
  }

  #add(whole: Value): Entry {
    const id = this.#entries.size;
    const entry = { id, whole, uses: 0, keep: false, dropped: false };
    this.#entries.set(whole.storage, entry);
    return entry;
  }

  /** Records once more what an earlier trace computed and did not keep. */
  #again(storage: Storage): Entry {
    const node = storage.producer;
    if (!node) throw new Error(`nothing makes ${storage.name}`);
    this.#push(node, false);
    return this.#entries.get(storage)!;
  }

  #forget(): void {
    this.#nodes = [];
    this.#entries = new Map();
    this.#made = [];
    this.#leaves = [];
    if (this.#written.size > 0) this.#written = new Set();
    this.#key = "";
    this.#bytes = 0;
    this.#numbers = undefined;
  }
}

/** What this thread's tensors have asked for. */
export const pending = new Pending();

/** Ops whose outputs' extents do not follow from what they read. */
const shapedByCaller: ReadonlySet<OpName> = new Set([
  "place",
  "random_uniform",
  "random_normal",
  "convert",
  "pack_tile2",
  "pack_tile3",
  "pack_ternary",
]);

/** Ops that may find their data wrong when they run. */
const refusesData: ReadonlySet<OpName> = new Set([
  "take",
  "cholesky",
  "lu",
  "solve",
  "triangular_solve",
  "qr",
  "svd",
  "eigh",
]);

function throwFailure({ failure }: Storage): void {
  if (!failure) return;
  const message = `the tensor was written to in place, and that failed: ${failure.message}`;
  throw new BitNetError(failure.code, message, { cause: failure });
}

/** Whether something has to run before the storage can be read. */
export function isPending(storage: Storage): boolean {
  return storage.kind === "arena";
}

/** Whether an instruction makes it beside its first result, and no tensor stands for it. */
function isAside(storage: Storage): boolean {
  return !storage.held && storage.producer?.outputs[0]?.storage !== storage;
}

/** Instructions that may be run again: what they read must not change in place. */
function markBorrowed({ nodes }: Trace): void {
  for (const { inputs, outputs } of nodes) {
    const again = outputs.some(({ storage }) => isPending(storage) && (storage.held || isTaping()));
    if (!again) continue;
    for (const { storage, rowScale } of inputs) {
      storage.borrowed = true;
      if (rowScale) rowScale.storage.borrowed = true;
    }
  }
}

/** All that says how a value lies in its storage; those of values that come again are kept. */
function signature(value: Value): string {
  const known = signatures.get(value);
  if (known !== undefined) return known;
  const { dtype, layout, dims, strides, offset } = value;
  const made =
    layout === "strided"
      ? `${dtype}[${dims.join()}|${strides.join()}@${offset}]`
      : `${layout}[${dims.join()}@${offset}]`;
  signatures.set(value, made);
  return made;
}

const signatures = new WeakMap<Value, string>();
