/**
 * Writes a safetensors file whose tensors' sizes are known only once they are written: room for
 * the header is left at the front, filled in last and padded with spaces, as the format allows.
 * The file appears whole or not at all.
 */
import { OutputFile } from "./output-file.ts";
import { quoted, refuse } from "./refuse.ts";
import type { StoredDType } from "./types.ts";

/** A tensor to be written. Its shape may depend on the bytes. */
export interface SafetensorsSource {
  name: string;
  dtype: StoredDType;
  /** Asked for after the last piece. */
  shape: () => readonly number[];
  pieces(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** Everything in a safetensors file. */
export interface SafetensorsContent {
  tensors: readonly SafetensorsSource[];
  /** Asked for after the last tensor. */
  metadata: () => Record<string, string>;
  /** What the metadata takes at most, in bytes. */
  metadataBytesMax: number;
}

export interface SafetensorsWriteOptions {
  signal?: AbortSignal;
  /** Tensors written so far. */
  onProgress?: (done: number, total: number) => void;
}

/** What one tensor takes in the header besides its name: dtype, dimensions, offsets. */
const infoBytesMax = 256;
const lengthBytes = 8;

/** @throws BitNetError checkpoint/unwritable, duplicate-tensor or header-too-large */
export async function writeSafetensors(
  path: string,
  { tensors, metadata, metadataBytesMax }: SafetensorsContent,
  { signal, onProgress }: SafetensorsWriteOptions = {},
): Promise<void> {
  const encoder = new TextEncoder();
  const names = tensors.reduce((sum, { name }) => sum + encoder.encode(name).length, 0);
  const room = names + tensors.length * infoBytesMax + metadataBytesMax + infoBytesMax;
  const headerBytes = Math.ceil(room / 64) * 64 - lengthBytes;
  await using output = await OutputFile.create(path);
  await output.write(new Uint8Array(lengthBytes + headerBytes));
  const start = output.bytes;
  const infos = new Map<string, object>();
  for (const { name, dtype, shape, pieces } of tensors) {
    if (infos.has(name)) {
      refuse("checkpoint/duplicate-tensor", {
        file: path,
        expected: "each tensor once",
        got: `${quoted(name)} twice`,
      });
    }
    const begin = output.bytes - start;
    for await (const piece of pieces()) {
      signal?.throwIfAborted();
      await output.write(piece);
    }
    infos.set(name, { dtype, shape: shape(), data_offsets: [begin, output.bytes - start] });
    onProgress?.(infos.size, tensors.length);
  }
  const header = JSON.stringify({ __metadata__: metadata(), ...Object.fromEntries(infos) });
  const bytes = encoder.encode(header);
  if (bytes.length > headerBytes) {
    refuse("checkpoint/header-too-large", {
      file: path,
      expected: `a header of at most ${headerBytes} bytes`,
      got: `${bytes.length}`,
    });
  }
  const front = new Uint8Array(lengthBytes + headerBytes).fill(0x20);
  new DataView(front.buffer).setBigUint64(0, BigInt(headerBytes), true);
  front.set(bytes, lengthBytes);
  signal?.throwIfAborted();
  await output.rewriteFront(front);
  await output.finish();
}
