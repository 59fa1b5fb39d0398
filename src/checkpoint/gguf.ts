/**
 * One GGUF file (versions 2 and 3, little endian) to metadata and tensor entries.
 *
 * Header: magic, version, counts, metadata, tensor infos; then data, each tensor at a multiple of
 * the alignment. Dimensions are stored innermost first and given outermost first.
 * Source: docs/gguf.md of ggml-org/ggml (docs/formats/gguf.md).
 */
import { type TensorClaim, tensorBytes } from "./dtypes.ts";
import { InputFile } from "./files.ts";
import { GgufCursor } from "./gguf-cursor.ts";
import { readMetadata } from "./gguf-metadata.ts";
import { alignUp, checkLayout } from "./layout.ts";
import { quoted, refuse } from "./refuse.ts";
import type { GgufCheckpoint, GgufValue, OpenOptions, StoredDType, TensorEntry } from "./types.ts";

/** "GGUF" as a little-endian u32. */
export const ggufMagic = 0x46554747;

/** Tensor type ids this library reads. Source: enum ggml_type of ggml.h; 36 of microsoft/BitNet. */
const tensorTypes = new Map<number, StoredDType>([
  [0, "F32"],
  [1, "F16"],
  [2, "Q4_0"],
  [8, "Q8_0"],
  [12, "Q4_K"],
  [14, "Q6_K"],
  [30, "BF16"],
  [34, "TQ1_0"],
  [35, "TQ2_0"],
  [36, "I2_S"],
]);

/** The id of each stored dtype. */
export const tensorTypeIds = new Map([...tensorTypes].map(([id, dtype]) => [dtype, id]));

const tensorsMax = 262_144;
/** Source: GGML_MAX_DIMS of ggml.h. */
const dimensionsMax = 4;
const alignmentDefault = 32;
const alignmentMax = 1 << 20;
/** The least a tensor info takes: name length, dimension count, type, offset. */
const infoBytesMin = 8 + 4 + 4 + 8;

/** @throws BitNetError when the file is not sound; see docs/formats/gguf.md */
export async function readGguf(path: string, options: OpenOptions = {}): Promise<GgufCheckpoint> {
  await using file = await InputFile.open(path);
  const cursor = new GgufCursor(file);
  const i2sLayout = options.i2sLayout ?? 128;
  checkVersion(cursor);
  const tensorCount = cursor.u64();
  const keyCount = cursor.u64();
  const metadata = readMetadata(cursor, keyCount, options.signal);
  checkSplit(path, metadata);
  const alignment = alignmentOf(path, metadata);
  const tensors = readInfos(cursor, { tensorCount, i2sLayout, alignment });
  const start = alignUp(cursor.position, alignment);
  for (const entry of tensors.values()) entry.offset += start;
  checkLayout(tensors.values(), {
    file: path,
    start,
    fileBytes: file.bytes,
    alignment,
    isTight: false,
  });
  return { format: "gguf", path, metadata, tensors, i2sLayout, fileBytes: file.bytes };
}

function checkVersion(cursor: GgufCursor): void {
  const file = cursor.file.path;
  const magic = cursor.u32();
  if (magic !== ggufMagic) {
    refuse("checkpoint/not-a-model", {
      file,
      expected: 'the magic "GGUF"',
      got: `0x${magic.toString(16).padStart(8, "0")}`,
    });
  }
  const version = cursor.u32();
  if (version === 2 || version === 3) return;
  if ((version & 0xffff) === 0 && version !== 0) {
    refuse("checkpoint/big-endian", {
      file,
      expected: "a little-endian GGUF file",
      got: "one in big-endian byte order",
      remedy: "convert the model for little-endian machines",
    });
  }
  refuse("checkpoint/unsupported-version", {
    file,
    expected: "GGUF version 2 or 3",
    got: `version ${version}`,
  });
}

function checkSplit(file: string, metadata: Map<string, GgufValue>): void {
  const count = metadata.get("split.count");
  if (count === undefined || count === 0 || count === 1) return;
  refuse("checkpoint/split-file", {
    file,
    expected: "a model in one GGUF file",
    got: `one of ${String(count)} parts`,
    remedy: "merge the parts with gguf-split --merge",
  });
}

function alignmentOf(file: string, metadata: Map<string, GgufValue>): number {
  const value = metadata.get("general.alignment") ?? alignmentDefault;
  const isPowerOfTwo = typeof value === "number" && value > 0 && (value & (value - 1)) === 0;
  if (isPowerOfTwo && Number.isInteger(value) && value <= alignmentMax) return value;
  refuse("checkpoint/bad-alignment", {
    file,
    expected: `general.alignment as a power of two up to ${alignmentMax}`,
    got: typeof value === "object" ? "an array" : String(value),
  });
}

interface InfoOptions {
  tensorCount: bigint;
  i2sLayout: 64 | 128;
  alignment: number;
}

/** The entries with offsets still relative to the data section. */
function readInfos(cursor: GgufCursor, options: InfoOptions): Map<string, TensorEntry> {
  const { tensorCount, i2sLayout, alignment } = options;
  const file = cursor.file.path;
  if (tensorCount > tensorsMax) {
    refuse("checkpoint/too-many-tensors", {
      file,
      expected: `at most ${tensorsMax} tensors`,
      got: `${tensorCount}`,
    });
  }
  cursor.require(Number(tensorCount) * infoBytesMin, "tensor infos");
  const tensors = new Map<string, TensorEntry>();
  for (let index = 0; index < tensorCount; index++) {
    const claim = readClaim(cursor);
    const { name } = claim;
    if (tensors.has(name)) {
      refuse("checkpoint/duplicate-tensor", {
        file,
        expected: "each tensor once",
        got: `${quoted(name)} twice`,
      });
    }
    const offset = readOffset(cursor, name, alignment);
    tensors.set(name, { ...claim, offset, bytes: tensorBytes(claim, i2sLayout) });
  }
  return tensors;
}

function readClaim(cursor: GgufCursor): TensorClaim {
  const file = cursor.file.path;
  const name = cursor.text("a tensor name");
  const dimensions = cursor.u32();
  if (dimensions > dimensionsMax) {
    refuse("checkpoint/too-many-dimensions", {
      file,
      expected: `at most ${dimensionsMax} dimensions in ${quoted(name)}`,
      got: `${dimensions}`,
    });
  }
  const shape: number[] = [];
  for (let index = 0; index < dimensions; index++) shape.unshift(Number(cursor.u64()));
  const type = cursor.u32();
  const dtype = tensorTypes.get(type);
  if (dtype === undefined) {
    const known = [...tensorTypes].map(([id, known]) => `${id} ${known}`).join(", ");
    refuse("checkpoint/unknown-tensor-type", {
      file,
      expected: `a tensor type of ${known} for ${quoted(name)}`,
      got: `type ${type}`,
      remedy: "quantise the model to one of those",
    });
  }
  return { file, name, dtype, shape };
}

function readOffset(cursor: GgufCursor, name: string, alignment: number): number {
  const offset = cursor.u64();
  if (offset > Number.MAX_SAFE_INTEGER) {
    refuse("checkpoint/out-of-range", {
      file: cursor.file.path,
      expected: `an offset below ${cursor.file.bytes} for ${quoted(name)}`,
      got: `${offset}`,
    });
  }
  if (Number(offset) % alignment !== 0) {
    refuse("checkpoint/misaligned", {
      file: cursor.file.path,
      expected: `an offset that is a multiple of ${alignment} for ${quoted(name)}`,
      got: `${offset}`,
    });
  }
  return Number(offset);
}
