/**
 * Fixture models damaged on purpose, in a temporary folder: files replaced, JSON edited, tensors
 * of a safetensors file renamed, retyped, reshaped or overwritten, bytes of a GGUF file patched.
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpoint } from "../../src/checkpoint/index.ts";

const models = join(import.meta.dir, "..", "fixtures", "models");

/** A tensor of a safetensors file as its header has it. */
export interface HeaderEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** The header of a safetensors file without its metadata, and the bytes behind it. */
export interface Safetensors {
  header: Record<string, HeaderEntry>;
  data: Uint8Array<ArrayBuffer>;
}

/** What becomes of a file: new content, an edit of the parsed JSON, or null to remove it. */
export type Damage = string | Uint8Array | ((json: Record<string, unknown>) => object) | null;

export class DamagedModels implements AsyncDisposable {
  #count = 0;

  private constructor(readonly root: string) {}

  static async create(): Promise<DamagedModels> {
    return new DamagedModels(await mkdtemp(join(tmpdir(), "bitnet-damaged-")));
  }

  /** A copy of a fixture folder with some files damaged. */
  async folder(name: string, damages: Record<string, Damage> = {}): Promise<string> {
    const folder = join(this.root, `${name}-${this.#count++}`);
    await cp(join(models, name), folder, { recursive: true });
    for (const [file, damage] of Object.entries(damages)) {
      const path = join(folder, file);
      if (damage === null) await rm(path);
      else if (typeof damage === "function") {
        await Bun.write(path, JSON.stringify(damage(await Bun.file(path).json())));
      } else await Bun.write(path, damage);
    }
    return folder;
  }

  /** A copy of a fixture folder whose weights went through `edit`. */
  async weights(
    name: string,
    edit: (file: Safetensors) => void,
    damages: Record<string, Damage> = {},
  ): Promise<string> {
    const file = await readSafetensors(join(models, name, "model.safetensors"));
    edit(file);
    return this.folder(name, { ...damages, "model.safetensors": writeSafetensors(file) });
  }

  /** A copy of a fixture GGUF file whose bytes went through `edit`. */
  async gguf(
    name: string,
    edit: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array | Promise<Uint8Array>,
  ): Promise<string> {
    const path = join(this.root, `${this.#count++}-${name}.gguf`);
    await Bun.write(path, await edit(await Bun.file(ggufPath(name)).bytes()));
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true });
  }
}

export function ggufPath(name: string): string {
  return join(models, "gguf", `${name}.gguf`);
}

/** Where a tensor's bytes lie in a fixture GGUF file. */
export async function ggufTensor(name: string, tensor: string) {
  const { tensors } = await openCheckpoint(ggufPath(name));
  return tensors.get(tensor)!;
}

/** Where the numbers of a tensor's info lie in the header of a GGUF file. */
export function ggufInfo(bytes: Uint8Array<ArrayBuffer>, tensor: string) {
  const dimensions = Buffer.from(bytes.buffer).indexOf(tensor) + tensor.length;
  const count = new DataView(bytes.buffer).getUint32(dimensions, true);
  const type = dimensions + 4 + 8 * count;
  return { dimensions, extents: dimensions + 4, type, offset: type + 4 };
}

/** The bytes with the first occurrence of `from` replaced by as many others. */
export function patched(bytes: Uint8Array<ArrayBuffer>, from: string, to: string | Uint8Array) {
  const at = Buffer.from(bytes.buffer).indexOf(from);
  const replacement = typeof to === "string" ? new TextEncoder().encode(to) : to;
  if (at < 0 || replacement.length !== from.length) throw new Error(`cannot patch ${from}`);
  bytes.set(replacement, at);
  return bytes;
}

export async function readSafetensors(path: string): Promise<Safetensors> {
  const bytes = await Bun.file(path).bytes();
  const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const { __metadata__: _, ...header } = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes)),
  );
  return { header, data: bytes.slice(8 + headerBytes) };
}

/** `padding` spaces end the header. */
export function writeSafetensors({ header, data }: Safetensors, padding = 0): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(header) + " ".repeat(padding));
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

/** The view of one tensor's bytes. */
export function bytesOf({ header, data }: Safetensors, tensor: string): Uint8Array {
  const [start, end] = header[tensor]!.data_offsets;
  return data.subarray(start, end);
}
