/**
 * Writes a GGUF file, version 3: header, metadata, tensor infos, then the tensors one behind the
 * other, each at a multiple of 32 bytes. The file appears whole or not at all.
 * Source: docs/gguf.md of ggml-org/ggml (docs/formats/gguf.md).
 */
import { ggufMagic, tensorTypeIds } from "./gguf.ts";
import { valueTypes } from "./gguf-metadata.ts";
import { OutputFile } from "./output-file.ts";
import { quoted, refuse } from "./refuse.ts";
import {
  type PlacedSource,
  placeSources,
  type TensorSource,
  type WriteOptions,
  writeSources,
} from "./tensor-source.ts";
import type { GgufNumbers } from "./types.ts";

/** A metadata value with the type it is written as: readers of the format insist on types. */
export type GgufField =
  | { type: "u32" | "i32" | "f32"; value: number }
  | { type: "u64"; value: number | bigint }
  | { type: "bool"; value: boolean }
  | { type: "string"; value: string }
  | { type: "strings"; value: readonly string[] }
  | { type: "numbers"; value: GgufNumbers };

/** Everything in a GGUF file. */
export interface GgufContent {
  metadata: ReadonlyMap<string, GgufField>;
  tensors: readonly TensorSource[];
}

const version = 3;
const alignment = 32;
/** Source: GGML_MAX_DIMS and GGML_MAX_NAME of ggml.h. */
const dimensionsMax = 4;
const nameBytesMax = 63;

/**
 * @throws BitNetError checkpoint/unwritable, duplicate-tensor, shape-mismatch,
 * too-many-dimensions, string-too-long or unknown-dtype; the signal's reason
 */
export async function writeGguf(
  path: string,
  { metadata, tensors }: GgufContent,
  options: WriteOptions = {},
): Promise<void> {
  options.signal?.throwIfAborted();
  const placed = placeSources(path, tensors, alignment);
  const header = new HeaderBytes();
  header.u32(ggufMagic);
  header.u32(version);
  header.u64(placed.length);
  header.u64(metadata.size);
  for (const [key, field] of metadata) {
    header.text(key);
    writeField(header, field);
  }
  for (const one of placed) writeInfo(header, path, one);
  await using output = await OutputFile.create(path);
  await output.write(header.bytes());
  await output.pad(alignment);
  await writeSources(output, placed, { ...options, alignment });
  options.signal?.throwIfAborted();
  await output.finish();
}

function writeInfo(header: HeaderBytes, file: string, { source, offset }: PlacedSource): void {
  const { name, dtype, shape } = source;
  const type = tensorTypeIds.get(dtype);
  if (type === undefined) {
    refuse("checkpoint/unknown-dtype", {
      file,
      expected: `one of ${[...tensorTypeIds.keys()].join(", ")} for ${quoted(name)}`,
      got: dtype,
    });
  }
  if (shape.length > dimensionsMax) {
    refuse("checkpoint/too-many-dimensions", {
      file,
      expected: `at most ${dimensionsMax} dimensions in ${quoted(name)}`,
      got: `${shape.length}`,
    });
  }
  if (new TextEncoder().encode(name).length > nameBytesMax) {
    refuse("checkpoint/string-too-long", {
      file,
      expected: `tensor names of at most ${nameBytesMax} bytes`,
      got: quoted(name),
    });
  }
  header.text(name);
  header.u32(shape.length);
  for (const extent of shape.toReversed()) header.u64(extent);
  header.u32(type);
  header.u64(offset);
}

function writeField(header: HeaderBytes, field: GgufField): void {
  switch (field.type) {
    case "strings":
      header.u32(valueTypes.array);
      header.u32(valueTypes.string);
      header.u64(field.value.length);
      for (const text of field.value) header.text(text);
      return;
    case "numbers":
      header.u32(valueTypes.array);
      header.u32(elementType(field.value));
      header.u64(field.value.length);
      header.raw(field.value);
      return;
    case "string":
      header.u32(valueTypes.string);
      header.text(field.value);
      return;
    case "bool":
      header.u32(valueTypes.bool);
      header.raw(Uint8Array.of(field.value ? 1 : 0));
      return;
    case "u64":
      header.u32(valueTypes.u64);
      header.u64(field.value);
      return;
    default:
      header.u32(valueTypes[field.type]);
      header.number(field.type, field.value);
  }
}

function elementType(numbers: GgufNumbers): number {
  if (numbers instanceof Uint8Array) return valueTypes.u8;
  if (numbers instanceof Int8Array) return valueTypes.i8;
  if (numbers instanceof Uint16Array) return valueTypes.u16;
  if (numbers instanceof Int16Array) return valueTypes.i16;
  if (numbers instanceof Uint32Array) return valueTypes.u32;
  if (numbers instanceof Int32Array) return valueTypes.i32;
  if (numbers instanceof Float32Array) return valueTypes.f32;
  if (numbers instanceof BigUint64Array) return valueTypes.u64;
  if (numbers instanceof BigInt64Array) return valueTypes.i64;
  return valueTypes.f64;
}

/** Bytes that grow: vocabularies make headers of megabytes. Little endian. */
class HeaderBytes {
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  #size = 0;
  readonly #encoder = new TextEncoder();

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  u32(value: number): void {
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number | bigint): void {
    const at = this.#take(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  number(type: "u32" | "i32" | "f32", value: number): void {
    const at = this.#take(4);
    if (type === "f32") this.#view.setFloat32(at, value, true);
    else if (type === "i32") this.#view.setInt32(at, value, true);
    else this.#view.setUint32(at, value, true);
  }

  /** A text with its length before it. */
  text(value: string): void {
    const bytes = this.#encoder.encode(value);
    this.u64(bytes.length);
    this.raw(bytes);
  }

  raw(values: ArrayBufferView): void {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const at = this.#take(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Room for `count` bytes more; where it begins. */
  #take(count: number): number {
    const start = this.#size;
    this.#size += count;
    if (this.#size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#size, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return start;
  }
}
