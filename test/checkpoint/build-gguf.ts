/**
 * Writes GGUF files for tests, sound or wrong on purpose, and remembers where each length, count,
 * type and offset lies, so that a mutation can aim at one.
 */

/** Where a number of the header lies. */
export interface Field {
  kind: "magic" | "version" | "count" | "length" | "type" | "dimension" | "offset" | "value";
  offset: number;
  bytes: 1 | 4 | 8;
}

/** A tensor as it is written; `dims` innermost first. `offset` defaults to the next aligned one. */
export interface GgufTensor {
  name: string;
  dims: (number | bigint)[];
  type: number;
  data: Uint8Array;
  offset?: number | bigint;
}

/** What one metadata number, boolean or text is written from. */
export type Scalar = number | bigint | string | Uint8Array;

/** A metadata value: the type's id and what is written for it; `raw` bytes for wrong ones. */
export type Value =
  | { type: number; value: Scalar }
  | { type: 9; of: number; values: Scalar[]; count?: bigint }
  | { type: 9; of: 9; nested: Value[] }
  | { type: number; raw: Uint8Array };

/** Everything in a file. Counts default to what is there. */
export interface GgufSpec {
  magic?: number;
  version?: number;
  tensorCount?: bigint;
  keyCount?: bigint;
  keys?: [string, Value][];
  tensors?: GgufTensor[];
  alignment?: number;
}

/** The bytes of a file and the places of its header's numbers. */
export interface GgufBuilt {
  bytes: Uint8Array<ArrayBuffer>;
  fields: Field[];
  /** Where the data section begins. */
  dataStart: number;
}

export function buildGguf(spec: GgufSpec): GgufBuilt {
  const writer = new Writer();
  const tensors = spec.tensors ?? [];
  const keys = spec.keys ?? [];
  const alignment = spec.alignment ?? 32;
  writer.number("magic", 4, spec.magic ?? 0x46554747);
  writer.number("version", 4, spec.version ?? 3);
  writer.number("count", 8, spec.tensorCount ?? BigInt(tensors.length));
  writer.number("count", 8, spec.keyCount ?? BigInt(keys.length));
  for (const [key, value] of keys) {
    writer.text(key);
    writer.number("type", 4, value.type);
    writeValue(writer, value);
  }
  let next = 0;
  for (const { name, dims, type, data, offset = next } of tensors) {
    writer.text(name);
    writer.number("count", 4, dims.length);
    for (const dim of dims) writer.number("dimension", 8, BigInt(dim));
    writer.number("type", 4, type);
    writer.number("offset", 8, BigInt(offset));
    next = alignUp(next + data.length, alignment);
  }
  writer.pad(alignment);
  const dataStart = writer.length;
  for (const { data } of tensors) {
    writer.raw(data);
    writer.pad(alignment);
  }
  return { bytes: writer.bytes(), fields: writer.fields, dataStart };
}

/** The bytes of a tensor of the type, all zero. */
export function zeroData(type: number, count: number): Uint8Array {
  const [values, bytes] = blockOf[type] ?? [1, 1];
  const tail = type === 36 ? 32 : 0;
  return new Uint8Array((count / values) * bytes + tail);
}

/** A small sound file that has every value type and every tensor type. */
export function everythingSpec(): GgufSpec {
  const tensors = Object.keys(blockOf).map((id): GgufTensor => {
    const type = Number(id);
    return { name: `blk.0.type_${id}`, dims: [256, 2], type, data: zeroData(type, 512) };
  });
  return {
    keys: [
      ["general.architecture", { type: 8, value: "bitnet" }],
      ["general.alignment", { type: 4, value: 32 }],
      ["test.u8", { type: 0, value: 200 }],
      ["test.i8", { type: 1, value: -100 }],
      ["test.u16", { type: 2, value: 60_000 }],
      ["test.i16", { type: 3, value: -30_000 }],
      ["test.i32", { type: 5, value: -2_000_000_000 }],
      ["test.f32", { type: 6, value: 1.5 }],
      ["test.bool", { type: 7, value: 1 }],
      ["test.u64", { type: 10, value: 2n ** 53n + 1n }],
      ["test.i64", { type: 11, value: -5n }],
      ["test.f64", { type: 12, value: 1e-5 }],
      ["test.texts", { type: 9, of: 8, values: ["a", "", "\u2581wolf"] }],
      ["test.ints", { type: 9, of: 5, values: [1, -2, 3] }],
      ["test.bools", { type: 9, of: 7, values: [1, 0] }],
      ["test.nested", { type: 9, of: 9, nested: [{ type: 9, of: 4, values: [7] }] }],
    ],
    tensors,
  };
}

/** Type id to values and bytes of a block. */
const blockOf: Record<number, [number, number]> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  8: [32, 34],
  12: [256, 144],
  14: [256, 210],
  30: [1, 2],
  34: [256, 54],
  35: [256, 66],
  36: [4, 1],
};

function writeValue(writer: Writer, value: Value): void {
  if ("raw" in value) {
    writer.raw(value.raw);
  } else if ("value" in value) {
    writer.scalar(value.type, value.value);
  } else if ("nested" in value) {
    writer.number("type", 4, 9);
    writer.number("count", 8, BigInt(value.nested.length));
    for (const inner of value.nested) writeValue(writer, inner);
  } else {
    writer.number("type", 4, value.of);
    writer.number("count", 8, value.count ?? BigInt(value.values.length));
    for (const element of value.values) writer.scalar(value.of, element);
  }
}

function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

function bytesOf(array: Float32Array | Float64Array | Int16Array): Uint8Array {
  return new Uint8Array(array.buffer);
}

class Writer {
  readonly fields: Field[] = [];
  readonly #parts: Uint8Array[] = [];
  length = 0;

  raw(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.length += bytes.length;
  }

  number(kind: Field["kind"], bytes: 1 | 4 | 8, value: number | bigint): void {
    this.fields.push({ kind, offset: this.length, bytes });
    const view = new DataView(new ArrayBuffer(bytes));
    if (bytes === 8) view.setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true);
    else if (bytes === 4) view.setUint32(0, Number(value), true);
    else view.setUint8(0, Number(value));
    this.raw(new Uint8Array(view.buffer));
  }

  text(text: string | Uint8Array): void {
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    this.number("length", 8, BigInt(bytes.length));
    this.raw(bytes);
  }

  scalar(type: number, value: Scalar): void {
    if (typeof value === "string" || value instanceof Uint8Array) this.text(value);
    else if (type === 6) this.raw(bytesOf(Float32Array.of(Number(value))));
    else if (type === 12) this.raw(bytesOf(Float64Array.of(Number(value))));
    else if (type === 2 || type === 3) this.raw(bytesOf(Int16Array.of(Number(value))));
    else if (type === 10 || type === 11) this.number("value", 8, value);
    else this.number("value", type === 4 || type === 5 ? 4 : 1, value);
  }

  pad(alignment: number): void {
    this.raw(new Uint8Array(alignUp(this.length, alignment) - this.length));
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(Buffer.concat(this.#parts));
  }
}
