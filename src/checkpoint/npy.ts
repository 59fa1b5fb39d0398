/**
 * NumPy's file of one array: "\x93NUMPY", version, length of the header, the header (a Python
 * dictionary of descr, fortran_order and shape), the elements. Versions 1 to 3 are read, little
 * endian, with nothing behind the elements.
 * Source: numpy.lib.format, "Format Version 1.0" to "3.0", NumPy reference.
 */
import { tensorBytes } from "./dtypes.ts";
import { InputFile } from "./files.ts";
import { OutputFile } from "./output-file.ts";
import { quoted, refuse } from "./refuse.ts";
import type { StoredDType, TensorEntry } from "./types.ts";

const magic = "\x93NUMPY";
const headerBytesMax = 1 << 20;
const alignment = 64;

const descriptions: Partial<Record<StoredDType, string>> = {
  F64: "<f8",
  F32: "<f4",
  F16: "<f2",
  I64: "<i8",
  I32: "<i4",
  I16: "<i2",
  I8: "|i1",
  U8: "|u1",
  BOOL: "|b1",
};

/** The array of a file. */
export interface NpyEntry extends TensorEntry {
  /** Whether the first axis is the innermost: the bytes are those of the reversed shape. */
  isFortran: boolean;
}

/**
 * What a file holds and where; no element is read.
 * @throws BitNetError checkpoint/not-found, truncated, broken-header, unsupported-version,
 * header-too-large, big-endian, unknown-dtype, size-overflow or trailing-bytes
 */
export async function readNpy(path: string): Promise<NpyEntry> {
  await using file = await InputFile.open(path);
  const front = Buffer.from(await file.read(0, Math.min(12, Math.max(10, file.bytes))));
  const version = front[6]!;
  if (front.toString("latin1", 0, 6) !== magic) {
    broken(path, 'the beginning "\\x93NUMPY"', quoted(front.toString("latin1", 0, 6)));
  }
  if (version < 1 || version > 3 || (version > 1 && front.length < 12)) {
    refuse("checkpoint/unsupported-version", {
      file: path,
      expected: "version 1, 2 or 3",
      got: `${version}`,
    });
  }
  const length = version === 1 ? front.readUInt16LE(8) : front.readUInt32LE(8);
  const start = version === 1 ? 10 : 12;
  if (length > headerBytesMax) {
    refuse("checkpoint/header-too-large", {
      file: path,
      expected: `a header of at most ${headerBytesMax} bytes`,
      got: `${length}`,
    });
  }
  const offset = start + length;
  const header = Buffer.from(await file.read(start, offset)).toString("latin1");
  const { dtype, shape, isFortran } = parse(path, header);
  const bytes = tensorBytes({ file: path, name: "array", dtype, shape: [...shape] });
  requireEnd(file, offset + bytes);
  return { name: "array", dtype, shape, file: path, offset, bytes, isFortran };
}

function requireEnd(file: InputFile, end: number): void {
  if (file.bytes === end) return;
  refuse(file.bytes < end ? "checkpoint/truncated" : "checkpoint/trailing-bytes", {
    file: file.path,
    expected: `${end} bytes`,
    got: `${file.bytes} bytes`,
  });
}

interface Header {
  dtype: StoredDType;
  shape: number[];
  isFortran: boolean;
}

const entry = /\s*'(\w+)'\s*:\s*(?:'([^']*)'|(True|False)|\(([\d\s,]*)\))\s*(,|(?=\}))/y;

/** `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, in any order, each key once. */
function parse(path: string, header: string): Header {
  const text = header.trim();
  const found = new Map<string, string>();
  let at = 1;
  while (text[0] === "{" && at < text.length - 1) {
    entry.lastIndex = at;
    const match = entry.exec(text);
    if (!match) break;
    const [all, key, word, flag, extents] = match;
    if (found.has(key!)) broken(path, "each key once", quoted(key!));
    const value = { descr: word, fortran_order: flag, shape: extents }[key!];
    if (value === undefined) break;
    found.set(key!, value);
    at += all.length;
    if (text.slice(at).trim() === "}") at = text.length - 1;
  }
  const [descr, order, extents] = ["descr", "fortran_order", "shape"].map((key) => found.get(key));
  const isWhole = at === text.length - 1 && found.size === 3;
  if (!isWhole || descr === undefined || extents === undefined) {
    broken(path, "a dictionary of descr, fortran_order and shape", quoted(text));
  }
  const shape = extents.split(",").flatMap((one) => (one.trim() === "" ? [] : [Number(one)]));
  if (!shape.every(Number.isSafeInteger)) {
    broken(path, "a shape of whole numbers", quoted(extents));
  }
  return { dtype: dtypeOf(path, descr), shape, isFortran: order === "True" };
}

function dtypeOf(path: string, description: string): StoredDType {
  for (const [dtype, own] of Object.entries(descriptions)) {
    if (own === description) return dtype as StoredDType;
  }
  const code = description.startsWith(">") ? "checkpoint/big-endian" : "checkpoint/unknown-dtype";
  refuse(code, {
    file: path,
    expected: `one of ${Object.values(descriptions).join(", ")}`,
    got: quoted(description),
    remedy: "save another dtype with astype()",
  });
}

function broken(file: string, expected: string, got: string): never {
  refuse("checkpoint/broken-header", { file, expected, got });
}

/** An array to be written: row-major, innermost dimension last. */
export interface NpyContent {
  dtype: StoredDType;
  shape: readonly number[];
  bytes: Uint8Array;
}

/** Version 1.0, whole or not at all. @throws BitNetError checkpoint/unwritable, unknown-dtype */
export async function writeNpy(path: string, { dtype, shape, bytes }: NpyContent): Promise<void> {
  const description = descriptions[dtype];
  if (description === undefined) {
    refuse("checkpoint/unknown-dtype", {
      file: path,
      expected: `one of ${Object.keys(descriptions).join(", ")}`,
      got: dtype,
      remedy: "convert it first",
    });
  }
  const extents = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${description}', 'fortran_order': False, 'shape': (${extents}), }`;
  const start = 10;
  const length = Math.ceil((start + text.length + 1) / alignment) * alignment - start;
  const front = Buffer.alloc(start + length, " ");
  front.write(magic, "latin1");
  front.set([1, 0, length & 255, length >> 8], 6);
  front.write(text, start, "latin1");
  front.write("\n", start + length - 1, "latin1");
  await using output = await OutputFile.create(path);
  await output.write(front);
  await output.write(bytes);
  await output.finish();
}
