/** Writes safetensors files and Hugging Face folders for tests, sound or wrong on purpose. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A tensor of the header. */
export interface HeaderEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** Length, header and data as one file. The header may be any text; the length may lie. */
export function buildSafetensors(
  header: string | Record<string, unknown> | Uint8Array,
  dataBytes: number,
  length?: bigint,
): Uint8Array<ArrayBuffer> {
  const text = header instanceof Uint8Array || typeof header === "string" ? header : json(header);
  const headerBytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const bytes = new Uint8Array(8 + headerBytes.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(headerBytes.length), true);
  bytes.set(headerBytes, 8);
  return bytes;
}

/** A small sound header with several dtypes, a scalar and an empty tensor: 142 bytes of data. */
export function soundHeader(): Record<string, HeaderEntry> {
  return {
    "model.embed_tokens.weight": { dtype: "BF16", shape: [8, 4], data_offsets: [0, 64] },
    "layers.0.q_proj.weight": { dtype: "U8", shape: [2, 8], data_offsets: [64, 80] },
    "layers.0.q_proj.weight_scale": { dtype: "BF16", shape: [1], data_offsets: [80, 82] },
    "model.norm.weight": { dtype: "F32", shape: [4], data_offsets: [82, 98] },
    scalar: { dtype: "F64", shape: [], data_offsets: [98, 106] },
    empty: { dtype: "I64", shape: [0, 3], data_offsets: [106, 106] },
    flags: { dtype: "BOOL", shape: [4], data_offsets: [106, 110] },
    half: { dtype: "F16", shape: [4, 4], data_offsets: [110, 142] },
  };
}

/** Bytes of data that `soundHeader` describes. */
export const soundDataBytes = 142;

/** Writes a folder of the named files; texts, bytes, or values that become JSON. */
export async function writeFolder(
  folder: string,
  files: Record<string, string | Uint8Array | object>,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const isReady = typeof content === "string" || content instanceof Uint8Array;
    await writeFile(join(folder, name), isReady ? content : json(content));
  }
  return folder;
}

function json(value: unknown): string {
  return JSON.stringify(value);
}
