/**
 * A strict reader of the safetensors header: exactly `{name: {dtype, shape, data_offsets}}` and
 * the optional text-to-text `__metadata__`, nothing else, no key twice.
 *
 * It reads bytes and never builds JSON values of its own accord, so a hostile header costs no more
 * memory than the tensors it names. The types are those of @huggingface/hub's parser.
 * Source: README of huggingface/safetensors, "Format" (docs/formats/safetensors.md).
 */
import type { SafetensorsFileHeader, TensorInfo } from "@huggingface/hub";
import { decodeUtf8 } from "./files.ts";
import { quoted, refuse } from "./refuse.ts";

/** A tensor of the header; the dtype is any text until it is looked up. */
export type HeaderTensor = Omit<TensorInfo, "dtype"> & { dtype: string };

/** A parsed header: tensors in the order of the file. */
export interface SafetensorsHeader {
  tensors: Map<string, HeaderTensor>;
  metadata: NonNullable<SafetensorsFileHeader["__metadata__"]>;
}

const tensorsMax = 262_144;
const nameBytesMax = 65_536;
const dimensionsMax = 8;

/** @throws BitNetError checkpoint/broken-header and the codes of single fields */
export function parseSafetensorsHeader(file: string, bytes: Uint8Array): SafetensorsHeader {
  const cursor = new HeaderCursor(file, bytes);
  const header: SafetensorsHeader = { tensors: new Map(), metadata: {} };
  let hasMetadata = false;
  cursor.object((name) => {
    if (name === "__metadata__") {
      if (hasMetadata) cursor.duplicate(name);
      hasMetadata = true;
      header.metadata = readMetadata(cursor);
      return;
    }
    if (header.tensors.has(name)) {
      refuse("checkpoint/duplicate-tensor", {
        file,
        expected: "each tensor once",
        got: `${quoted(name)} twice`,
      });
    }
    if (header.tensors.size === tensorsMax) {
      refuse("checkpoint/too-many-tensors", {
        file,
        expected: `at most ${tensorsMax} tensors`,
        got: "more",
      });
    }
    header.tensors.set(name, readTensor(cursor, name));
  });
  cursor.end();
  return header;
}

function readMetadata(cursor: HeaderCursor): Record<string, string> {
  const metadata = new Map<string, string>();
  cursor.object((key) => {
    if (metadata.has(key)) cursor.duplicate(key);
    metadata.set(key, cursor.string());
  });
  return Object.fromEntries(metadata);
}

function readTensor(cursor: HeaderCursor, name: string): HeaderTensor {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  cursor.object((key) => {
    if (key === "dtype" && dtype === undefined) dtype = cursor.string();
    else if (key === "shape" && shape === undefined) shape = cursor.integers(name, dimensionsMax);
    else if (key === "data_offsets" && offsets === undefined) offsets = cursor.integers(name, 2);
    else cursor.broken("dtype, shape and data_offsets, each once", quoted(key));
  });
  const [begin, end] = offsets ?? [];
  if (dtype === undefined || shape === undefined || begin === undefined || end === undefined) {
    cursor.broken(`dtype, shape and two data_offsets for ${quoted(name)}`, "fewer");
  }
  return { dtype, shape, data_offsets: [begin, end] };
}

/** Reads JSON tokens from left to right. */
class HeaderCursor {
  readonly #file: string;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(file: string, bytes: Uint8Array) {
    this.#file = file;
    this.#bytes = bytes;
  }

  /** An object; `member` is called after each key and must consume its value. */
  object(member: (key: string) => void): void {
    this.#expect(0x7b, "{");
    if (this.#skipIf(0x7d)) return;
    do {
      const key = this.string();
      this.#expect(0x3a, ":");
      member(key);
    } while (this.#skipIf(0x2c));
    this.#expect(0x7d, "}");
  }

  string(): string {
    this.#expect(0x22, 'a string in "');
    const start = this.#at;
    let isEscaped = false;
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined || byte < 0x20) this.broken("the end of a string", this.#here());
      if (this.#at - start > nameBytesMax) {
        refuse("checkpoint/string-too-long", {
          file: this.#file,
          expected: `at most ${nameBytesMax} bytes in a string of the header`,
          got: "more",
        });
      }
      if (byte === 0x22) break;
      if (byte === 0x5c) {
        isEscaped = true;
        this.#at++;
      }
      this.#at++;
    }
    const raw = this.#bytes.subarray(start, this.#at++);
    const text = decodeUtf8(this.#file, "the header", raw);
    return isEscaped ? this.#unescape(text) : text;
  }

  /** An array of at most `countMax` non-negative integers. */
  integers(name: string, countMax: number): number[] {
    const values: number[] = [];
    this.#expect(0x5b, "[");
    if (this.#skipIf(0x5d)) return values;
    do {
      if (values.length === countMax) {
        refuse("checkpoint/too-many-dimensions", {
          file: this.#file,
          expected: `at most ${countMax} numbers in a field of ${quoted(name)}`,
          got: "more",
        });
      }
      values.push(this.#integer(name));
    } while (this.#skipIf(0x2c));
    this.#expect(0x5d, "]");
    return values;
  }

  end(): void {
    this.#skipSpace();
    if (this.#at < this.#bytes.length) this.broken("spaces after the header", this.#here());
  }

  duplicate(key: string): never {
    refuse("checkpoint/duplicate-key", {
      file: this.#file,
      expected: "each key once",
      got: `${quoted(key)} twice`,
    });
  }

  broken(expected: string, got: string): never {
    refuse("checkpoint/broken-header", {
      file: this.#file,
      expected: `${expected} at byte ${this.#at} of the header`,
      got,
    });
  }

  #integer(name: string): number {
    this.#skipSpace();
    const start = this.#at;
    let value = 0;
    for (;;) {
      const digit = (this.#bytes[this.#at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      this.#at++;
      if (!Number.isSafeInteger(value)) {
        refuse("checkpoint/size-overflow", {
          file: this.#file,
          expected: `numbers below 2^53 for ${quoted(name)}`,
          got: "a larger one",
        });
      }
    }
    if (this.#at === start) this.broken("a non-negative integer", this.#here());
    return value;
  }

  #unescape(text: string): string {
    try {
      return JSON.parse(`"${text}"`) as string;
    } catch {
      this.broken("a JSON string", quoted(text));
    }
  }

  #expect(byte: number, what: string): void {
    if (!this.#skipIf(byte)) this.broken(what, this.#here());
  }

  #skipIf(byte: number): boolean {
    this.#skipSpace();
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #here(): string {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) return "the end of the header";
    const isPrintable = byte > 0x20 && byte < 0x7f;
    return isPrintable ? quoted(String.fromCharCode(byte)) : `byte ${byte}`;
  }
}
