/**
 * Tensors out of files and into them: NumPy's .npy, one array, and safetensors, many by name.
 * Files are checked before memory is taken, read in pieces, and appear whole or not at all.
 */
import {
  readNpy,
  readSafetensors,
  readTensorBytes,
  type StoredDType,
  type TensorEntry,
  writeNpy,
  writeSafetensors,
} from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import { elementSizes } from "../graph/index.ts";
import type { DType, TypedArray } from "./dtypes.ts";
import { elementsOf, filled } from "./read.ts";
import { requireShape } from "./shapes.ts";
import { Tensor } from "./tensor.ts";

const pieceSize = 16 << 20;

const storedDTypes: Record<DType, StoredDType> = {
  f64: "F64",
  f32: "F32",
  f16: "F16",
  bf16: "BF16",
  i32: "I32",
  i8: "I8",
  u8: "U8",
  bool: "BOOL",
};

/**
 * The array of a .npy file, little-endian, in C or Fortran order. int16 and int64, which no tensor
 * has, become i32.
 * @throws BitNetError `checkpoint/…` for a file that is not sound, `tensor/bad-dtype` for an int64
 * beyond 32 bits, `tensor/bad-shape` for more dimensions than a tensor has
 */
export async function loadNpy(path: string): Promise<Tensor> {
  const entry = await readNpy(path);
  if (!entry.isFortran) return await loaded(entry);
  const reversed = await loaded({ ...entry, shape: entry.shape.toReversed() });
  return reversed.permute();
}

/**
 * Writes a .npy file that NumPy reads. The tensor must not be written to meanwhile.
 * @throws BitNetError `checkpoint/unwritable`; `checkpoint/unknown-dtype` for bf16
 */
export async function saveNpy(path: string, x: Tensor): Promise<void> {
  await writeNpy(path, { dtype: storedDType(x), shape: x.shape, bytes: bytesOf(x) });
}

export interface LoadTensorsOptions {
  /** Only these; all by default. */
  names?: readonly string[];
}

/**
 * The tensors of a safetensors file by their names; integers as in `loadNpy`.
 * @throws BitNetError `checkpoint/…` for a file that is not sound or lacks a name; as `loadNpy`
 */
export async function loadSafetensors(
  path: string,
  { names }: LoadTensorsOptions = {},
): Promise<Record<string, Tensor>> {
  const { tensors } = await readSafetensors(path);
  const found: [string, Tensor][] = [];
  for (const name of names ?? tensors.keys()) {
    const entry = tensors.get(name);
    if (!entry) {
      throw new BitNetError(
        "checkpoint/missing-tensor",
        `${path}: no tensor ${JSON.stringify(name)} among the ${tensors.size} there are`,
      );
    }
    found.push([name, await loaded(entry)]);
  }
  return Object.fromEntries(found);
}

export interface SaveTensorsOptions {
  /** Text by name, for the file's header. */
  metadata?: Record<string, string>;
}

/**
 * Writes tensors by name into a safetensors file, wider dtypes first. They must not be written to
 * meanwhile.
 * @throws BitNetError `checkpoint/unwritable`, `checkpoint/header-too-large`
 */
export async function saveSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  { metadata = {} }: SaveTensorsOptions = {},
): Promise<void> {
  const size = ([, x]: [string, Tensor]) => elementSizes[x.elementDType];
  const ordered = Object.entries(tensors).sort((a, b) => size(b) - size(a));
  await writeSafetensors(path, {
    tensors: ordered.map(([name, x]) => ({
      name,
      dtype: storedDType(x),
      shape: () => x.shape,
      pieces: () => [bytesOf(x)],
    })),
    metadata: () => metadata,
    metadataBytesMax: new TextEncoder().encode(JSON.stringify(metadata)).length,
  });
}

/** Packed elements are written unpacked. */
function storedDType({ elementDType }: Tensor): StoredDType {
  return storedDTypes[elementDType];
}

function bytesOf(x: Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = x.data();
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** The elements of an entry in memory of their own. */
async function loaded(entry: TensorEntry): Promise<Tensor> {
  const dtype = dtypeOf(entry);
  const value = filled(requireShape(entry.shape), dtype, () => {});
  const elements = elementsOf(value);
  for (let start = 0; start < entry.bytes; start += pieceSize) {
    const end = Math.min(start + pieceSize, entry.bytes);
    const piece = await readTensorBytes(entry, { start, end });
    fill(elements, { entry, start, piece });
  }
  return new Tensor(value);
}

function dtypeOf({ name, file, dtype }: TensorEntry): DType {
  if (dtype === "I64" || dtype === "I16") return "i32";
  for (const [own, stored] of Object.entries(storedDTypes)) {
    if (stored === dtype) return own as DType;
  }
  throw new BitNetError("tensor/bad-dtype", `${file}: ${name} is ${dtype}, which no tensor has`);
}

interface Piece {
  entry: TensorEntry;
  /** In bytes of the entry. */
  start: number;
  piece: Uint8Array<ArrayBuffer>;
}

function fill(elements: TypedArray, { entry, start, piece }: Piece): void {
  const { dtype } = entry;
  if (dtype === "I64") {
    const whole = new BigInt64Array(piece.buffer);
    for (const [index, element] of whole.entries()) {
      if (BigInt.asIntN(32, element) !== element) {
        throw new BitNetError(
          "tensor/bad-dtype",
          `${entry.file}: ${entry.name} holds ${element}: want int64 that fits into 32 bits`,
        );
      }
      elements[start / 8 + index] = Number(element);
    }
  } else if (dtype === "I16") {
    elements.set(new Int16Array(piece.buffer), start / 2);
  } else if (dtype === "BOOL") {
    for (const [index, byte] of piece.entries()) elements[start + index] = byte === 0 ? 0 : 1;
  } else {
    new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength).set(piece, start);
  }
}
