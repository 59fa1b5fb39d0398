/**
 * The plain numbers of a trace, eight bytes each, which a run brings along as one input: another
 * number beside a tensor needs no other Program.
 */
import { type Storage, Value } from "../graph/index.ts";

const capacity = 512;

export class NumberStorage implements Storage {
  readonly kind = "input";
  readonly name = "numbers";
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

  add(number: number, dtype: "f32" | "f64" | "i32"): Value {
    const offset = this.#count * 8;
    if (dtype === "f32") this.#view.setFloat32(offset, number, true);
    else if (dtype === "f64") this.#view.setFloat64(offset, number, true);
    else this.#view.setInt32(offset, number, true);
    this.#count += 1;
    return new Value({ storage: this, dtype, dims: [], offset });
  }
}
