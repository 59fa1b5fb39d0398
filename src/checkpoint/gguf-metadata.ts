/**
 * The key-value part of a GGUF header: every value type, arrays of them, arrays of arrays.
 * Numbers of an array come as one typed array, never as a JavaScript list eight times the size.
 * Source: docs/gguf.md of ggml-org/ggml (docs/formats/gguf.md).
 */
import type { GgufCursor } from "./gguf-cursor.ts";
import { quoted, refuse } from "./refuse.ts";
import type { GgufNumbers, GgufValue } from "./types.ts";

/** Value type ids of the format. */
export const valueTypes = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

const keysMax = 65_536;
const keyBytesMax = 65_535;
/** Texts in all arrays together: the largest vocabularies and merge lists make 0.8 million. */
const textsMax = 2_000_000;
/** Arrays inside arrays, in the whole file. No known key nests any. */
const nestedMax = 4_096;
const depthMax = 4;
/** The least a key takes: its length, one byte of it, the value's type, a value of one byte. */
const keyBytesMin = 8 + 1 + 4 + 1;

type NumbersOf = (buffer: ArrayBuffer) => GgufNumbers;

const numberArrays = new Map<number, { bytes: number; of: NumbersOf }>([
  [valueTypes.u8, { bytes: 1, of: (buffer) => new Uint8Array(buffer) }],
  [valueTypes.i8, { bytes: 1, of: (buffer) => new Int8Array(buffer) }],
  [valueTypes.u16, { bytes: 2, of: (buffer) => new Uint16Array(buffer) }],
  [valueTypes.i16, { bytes: 2, of: (buffer) => new Int16Array(buffer) }],
  [valueTypes.u32, { bytes: 4, of: (buffer) => new Uint32Array(buffer) }],
  [valueTypes.i32, { bytes: 4, of: (buffer) => new Int32Array(buffer) }],
  [valueTypes.f32, { bytes: 4, of: (buffer) => new Float32Array(buffer) }],
  [valueTypes.bool, { bytes: 1, of: (buffer) => new Uint8Array(buffer) }],
  [valueTypes.u64, { bytes: 8, of: (buffer) => new BigUint64Array(buffer) }],
  [valueTypes.i64, { bytes: 8, of: (buffer) => new BigInt64Array(buffer) }],
  [valueTypes.f64, { bytes: 8, of: (buffer) => new Float64Array(buffer) }],
]);

/**
 * Reads `count` pairs.
 * @throws BitNetError checkpoint/too-many-keys, duplicate-key, bad-metadata and those of values
 */
export function readMetadata(
  cursor: GgufCursor,
  count: bigint,
  signal?: AbortSignal,
): Map<string, GgufValue> {
  if (count > keysMax) {
    refuse("checkpoint/too-many-keys", {
      file: cursor.file.path,
      expected: `at most ${keysMax} metadata keys`,
      got: `${count}`,
    });
  }
  cursor.require(Number(count) * keyBytesMin, "metadata");
  const metadata = new Map<string, GgufValue>();
  const reader = new ValueReader(cursor);
  for (let index = 0; index < count; index++) {
    signal?.throwIfAborted();
    const key = readKey(cursor);
    if (metadata.has(key)) {
      refuse("checkpoint/duplicate-key", {
        file: cursor.file.path,
        expected: "each metadata key once",
        got: `${quoted(key)} twice`,
      });
    }
    metadata.set(key, reader.value(key, cursor.u32()));
  }
  return metadata;
}

function readKey(cursor: GgufCursor): string {
  const key = cursor.text("a metadata key");
  if (key.length > 0 && key.length <= keyBytesMax) return key;
  refuse("checkpoint/bad-metadata", {
    file: cursor.file.path,
    expected: `a metadata key of 1 to ${keyBytesMax} bytes`,
    got: `${key.length}`,
  });
}

/** Reads values and counts what they cost over the whole file. */
class ValueReader {
  readonly #cursor: GgufCursor;
  #textCount = 0;
  #nestedCount = 0;

  constructor(cursor: GgufCursor) {
    this.#cursor = cursor;
  }

  value(key: string, type: number, depth = 0): GgufValue {
    const cursor = this.#cursor;
    switch (type) {
      case valueTypes.u8:
        return cursor.u8();
      case valueTypes.i8:
        return cursor.i8();
      case valueTypes.u16:
        return cursor.u16();
      case valueTypes.i16:
        return cursor.i16();
      case valueTypes.u32:
        return cursor.u32();
      case valueTypes.i32:
        return cursor.i32();
      case valueTypes.f32:
        return cursor.f32();
      case valueTypes.bool:
        return this.#boolean(key, cursor.u8()) === 1;
      case valueTypes.string:
        return cursor.text(quoted(key));
      case valueTypes.array:
        return this.#array(key, depth);
      case valueTypes.u64:
        return numberIfExact(cursor.u64());
      case valueTypes.i64:
        return numberIfExact(cursor.i64());
      case valueTypes.f64:
        return cursor.f64();
      default:
        this.#unknownType(key, type);
    }
  }

  #array(key: string, depth: number): GgufValue {
    const type = this.#cursor.u32();
    const count = this.#cursor.u64();
    const numbers = numberArrays.get(type);
    if (numbers !== undefined) {
      const bytes = this.#cursor.bytes(this.#fit(key, count, numbers.bytes) * numbers.bytes);
      if (type === valueTypes.bool) for (const byte of bytes) this.#boolean(key, byte);
      return numbers.of(bytes.buffer);
    }
    if (type === valueTypes.string) return this.#texts(key, this.#fit(key, count, 8));
    if (type === valueTypes.array) return this.#nested(key, this.#fit(key, count, 12), depth + 1);
    this.#unknownType(key, type);
  }

  #texts(key: string, count: number): string[] {
    this.#textCount += count;
    if (this.#textCount > textsMax) this.#tooLong(key, `${textsMax} texts in the file`, count);
    const what = quoted(key);
    const texts: string[] = [];
    for (let index = 0; index < count; index++) texts.push(this.#cursor.text(what));
    return texts;
  }

  #nested(key: string, count: number, depth: number): GgufValue {
    this.#nestedCount += count;
    const isTooDeep = depth > depthMax;
    if (isTooDeep || this.#nestedCount > nestedMax) {
      this.#tooLong(key, `${nestedMax} nested arrays, ${depthMax} deep`, count);
    }
    const arrays: GgufValue[] = [];
    for (let index = 0; index < count; index++) arrays.push(this.#array(key, depth));
    return { arrays };
  }

  /** `count` as a number once that many elements of `bytesMin` bytes or more can be there. */
  #fit(key: string, count: bigint, bytesMin: number): number {
    if (count > 0xffff_ffffn) this.#tooLong(key, "2^32 - 1 elements", count);
    this.#cursor.require(Number(count) * bytesMin, quoted(key));
    return Number(count);
  }

  #boolean(key: string, byte: number): number {
    if (byte <= 1) return byte;
    refuse("checkpoint/bad-metadata", {
      file: this.#cursor.file.path,
      expected: `a boolean of 0 or 1 in ${quoted(key)}`,
      got: `${byte}`,
    });
  }

  #tooLong(key: string, limit: string, got: number | bigint): never {
    refuse("checkpoint/array-too-long", {
      file: this.#cursor.file.path,
      expected: `at most ${limit}`,
      got: `${got} more in ${quoted(key)}`,
    });
  }

  #unknownType(key: string, type: number): never {
    refuse("checkpoint/unknown-value-type", {
      file: this.#cursor.file.path,
      expected: `a value type of 0 to 12 for ${quoted(key)}`,
      got: `${type}`,
    });
  }
}

function numberIfExact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
