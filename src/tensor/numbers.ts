/**
 * The plain numbers of a trace, eight bytes each, which a run brings along as one input: another
 * number beside a tensor needs no other Program.
 */
import { type Storage, type StorageKind, Value } from "../graph/index.ts";
import { Region } from "../native/index.ts";

const capacity = 512;

export class NumberStorage implements Storage {
  kind: StorageKind = "input";
  readonly name = "numbers";
  region?: Region;
  base?: number;
  isKnown?: boolean;
  readonly #view = new DataView(new ArrayBuffer(capacity * 8));
  #count = 0;

  /** Bytes in use. */
  get size(): number {
    return this.#count * 8;
  }

  get full(): boolean {
    return this.#count === capacity;
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.#view.buffer, 0, this.size);
  }

  /** The numbers stay as they are, in memory of their own: those of a compiled function. */
  settle(): void {
    this.region = Region.create(Math.max(1, this.size), { tag: "tensor" });
    this.region.bytes(0, this.size).set(this.bytes);
    this.base = 0;
    this.kind = "state";
    this.isKnown = true;
  }

  add(number: number, dtype: "f32" | "f64" | "i32"): Value {
    const offset = this.#count * 8;
    if (dtype === "f32") this.#view.setFloat32(offset, number, true);
    else if (dtype === "f64") this.#view.setFloat64(offset, number, true);
    else this.#view.setInt32(offset, number, true);
    this.#count += 1;
    return new Value({ storage: this, dtype, dims: [], offset });
  }
}
