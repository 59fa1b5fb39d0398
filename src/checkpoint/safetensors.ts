/**
 * One safetensors file to tensor entries: u64 header length, JSON header, data. Ranges must tile
 * the data section exactly, as the reference implementation demands: no gap, no overlap, no tail.
 */
import { tensorBytes } from "./dtypes.ts";
import { InputFile } from "./files.ts";
import { checkLayout } from "./layout.ts";
import { markPacked } from "./packed-tensors.ts";
import { quoted, refuse } from "./refuse.ts";
import { type HeaderTensor, parseSafetensorsHeader } from "./safetensors-header.ts";
import type { StoredDType, TensorEntry } from "./types.ts";

/** Source: MAX_HEADER_SIZE of safetensors/src/tensor.rs, huggingface/safetensors. */
const headerBytesMax = 100_000_000;
const lengthBytes = 8;

const dtypes: readonly string[] = [
  "F64",
  "F32",
  "F16",
  "BF16",
  "I64",
  "I32",
  "I16",
  "I8",
  "U8",
  "BOOL",
] satisfies StoredDType[];

/** The tensors of one file and its size. */
export interface SafetensorsFile {
  tensors: Map<string, TensorEntry>;
  fileBytes: number;
}

/** @throws BitNetError when the file is not sound; see docs/formats/safetensors.md */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  await using file = await InputFile.open(path);
  const headerBytes = await readHeaderLength(file);
  const start = lengthBytes + headerBytes;
  const header = parseSafetensorsHeader(path, await file.read(lengthBytes, start));
  const tensors = new Map<string, TensorEntry>();
  for (const [name, info] of header.tensors) {
    tensors.set(name, toEntry({ path, start, name, info }));
  }
  checkLayout(tensors.values(), {
    file: path,
    start,
    fileBytes: file.bytes,
    alignment: 1,
    isTight: true,
  });
  markPacked(path, header.metadata, tensors);
  return { tensors, fileBytes: file.bytes };
}

async function readHeaderLength(file: InputFile): Promise<number> {
  const bytes = await file.read(0, lengthBytes);
  const length = new DataView(bytes.buffer).getBigUint64(0, true);
  if (length > headerBytesMax) {
    refuse("checkpoint/header-too-large", {
      file: file.path,
      expected: `a header of at most ${headerBytesMax} bytes`,
      got: `a length of ${length}`,
      remedy: "this is no safetensors file, or a damaged one",
    });
  }
  return Number(length);
}

interface EntryParts {
  path: string;
  start: number;
  name: string;
  info: HeaderTensor;
}

function toEntry({ path, start, name, info }: EntryParts): TensorEntry {
  const dtype = dtypeOf(path, name, info.dtype);
  const [begin, end] = info.data_offsets;
  if (end < begin) {
    refuse("checkpoint/out-of-range", {
      file: path,
      expected: `data_offsets of ${quoted(name)} in order`,
      got: `[${begin}, ${end}]`,
    });
  }
  const bytes = tensorBytes({ file: path, name, dtype, shape: info.shape });
  if (bytes !== end - begin) {
    refuse("checkpoint/shape-mismatch", {
      file: path,
      expected: `${bytes} bytes for ${quoted(name)}, ${dtype} of shape [${info.shape.join(", ")}]`,
      got: `${end - begin} bytes`,
    });
  }
  return { name, dtype, shape: info.shape, file: path, offset: start + begin, bytes };
}

function dtypeOf(file: string, name: string, dtype: string): StoredDType {
  if (dtypes.includes(dtype)) return dtype as StoredDType;
  refuse("checkpoint/unknown-dtype", {
    file,
    expected: `one of ${dtypes.join(", ")} for ${quoted(name)}`,
    got: quoted(dtype),
  });
}
