/**
 * Tensors on their way into a file: what the header says of each, and its bytes piece by piece, so
 * that no writer ever holds more than a piece.
 */
import { type TensorClaim, tensorBytes } from "./dtypes.ts";
import type { OutputFile } from "./output-file.ts";
import { quoted, refuse } from "./refuse.ts";
import type { StoredDType } from "./types.ts";

/** A tensor to be written. */
export interface TensorSource {
  name: string;
  dtype: StoredDType;
  /** Row-major, outermost dimension first. */
  shape: readonly number[];
  /** The bytes in order, in pieces of any size; each is done with before the next is asked for. */
  pieces(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** How a file is written. */
export interface WriteOptions {
  signal?: AbortSignal;
  /** Bytes written so far, of the whole file. */
  onProgress?: (done: number, total: number) => void;
}

/** A tensor with its place in the data section. */
export interface PlacedSource {
  source: TensorSource;
  /** From the start of the data section. */
  offset: number;
  bytes: number;
}

/**
 * Places tensors one behind the other.
 * @throws BitNetError checkpoint/duplicate-tensor, shape-mismatch or size-overflow
 */
export function placeSources(
  file: string,
  sources: readonly TensorSource[],
  alignment: number,
): PlacedSource[] {
  const names = new Set<string>();
  let end = 0;
  return sources.map((source) => {
    if (names.has(source.name)) {
      refuse("checkpoint/duplicate-tensor", {
        file,
        expected: "each tensor once",
        got: `${quoted(source.name)} twice`,
      });
    }
    names.add(source.name);
    const claim: TensorClaim = { ...source, shape: [...source.shape], file };
    const offset = Math.ceil(end / alignment) * alignment;
    const bytes = tensorBytes(claim);
    end = offset + bytes;
    return { source, offset, bytes };
  });
}

/** Writes the data section. @throws BitNetError checkpoint/shape-mismatch; the signal's reason */
export async function writeSources(
  output: OutputFile,
  placed: readonly PlacedSource[],
  options: WriteOptions & { alignment: number },
): Promise<void> {
  const { signal, onProgress, alignment } = options;
  const last = placed.at(-1);
  const total = output.bytes + (last ? last.offset + last.bytes : 0);
  for (const { source, bytes } of placed) {
    await output.pad(alignment);
    const start = output.bytes;
    for await (const piece of source.pieces()) {
      signal?.throwIfAborted();
      await output.write(piece);
      onProgress?.(output.bytes, total);
    }
    if (output.bytes - start === bytes) continue;
    refuse("checkpoint/shape-mismatch", {
      file: output.path,
      expected: `${bytes} bytes for ${quoted(source.name)}, ${source.dtype} of shape [${source.shape.join(", ")}]`,
      got: `${output.bytes - start}`,
    });
  }
}
