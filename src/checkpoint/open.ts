/**
 * A path to a checkpoint: a Hugging Face folder, a file of its weights, a GGUF file, or a folder
 * that holds one GGUF file. What a file is its first bytes say, not its name.
 */
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BitNetError } from "../errors/index.ts";
import { InputFile, kindOf } from "./files.ts";
import { ggufMagic, readGguf } from "./gguf.ts";
import { hfNames, openHfFolder } from "./hf-folder.ts";
import { refuse } from "./refuse.ts";
import type { Checkpoint, OpenOptions, TensorEntry } from "./types.ts";

/**
 * Opens a checkpoint: reads headers and texts, checks every range, loads no weight.
 * @throws BitNetError naming the file, what was expected and what came; the signal's reason
 */
export async function openCheckpoint(path: string, options: OpenOptions = {}): Promise<Checkpoint> {
  checkOptions(options);
  options.signal?.throwIfAborted();
  const kind = await kindOf(path);
  if (kind === "folder") return openFolder(path, options);
  if (await isGguf(path)) return readGguf(path, options);
  if (path.endsWith(".safetensors")) {
    return openHfFolder(dirname(path), { ...options, weightsFile: path });
  }
  refuse("checkpoint/not-a-model", {
    file: path,
    expected: "a folder with config.json, a .safetensors file in one, or a GGUF file",
    got: "a file of another kind",
  });
}

/**
 * The bytes of a tensor, or of the part [start, end) of them, by a checked read.
 * @throws BitNetError checkpoint/truncated when the file has become shorter
 */
export async function readTensorBytes(
  entry: TensorEntry,
  range?: { start: number; end: number },
): Promise<Uint8Array<ArrayBuffer>> {
  await using reader = new TensorReader();
  return await reader.bytes(entry, range);
}

/** Reads of many tensors, which open each file once. */
export class TensorReader implements AsyncDisposable {
  readonly #files = new Map<string, Promise<InputFile>>();

  /** As `readTensorBytes`. */
  async bytes(
    entry: TensorEntry,
    { start, end } = { start: 0, end: entry.bytes },
  ): Promise<Uint8Array<ArrayBuffer>> {
    const isInside =
      Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end;
    if (!isInside || end > entry.bytes) {
      refuse("checkpoint/out-of-range", {
        file: entry.file,
        expected: `a range within the ${entry.bytes} bytes of ${entry.name}`,
        got: `[${start}, ${end})`,
      });
    }
    let opening = this.#files.get(entry.file);
    if (!opening) {
      opening = InputFile.open(entry.file);
      this.#files.set(entry.file, opening);
    }
    return (await opening).read(entry.offset + start, entry.offset + end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opened of await Promise.allSettled(this.#files.values())) {
      if (opened.status === "fulfilled") await opened.value[Symbol.asyncDispose]();
    }
  }
}

async function openFolder(folder: string, options: OpenOptions): Promise<Checkpoint> {
  if ((await kindOf(join(folder, hfNames.config))) !== undefined) {
    return openHfFolder(folder, options);
  }
  const names = await readdir(folder);
  const ggufNames = names.filter((name) => name.endsWith(".gguf")).sort();
  const [first] = ggufNames;
  if (first !== undefined && ggufNames.length === 1) return readGguf(join(folder, first), options);
  refuse("checkpoint/not-a-model", {
    file: folder,
    expected: `${hfNames.config} or one GGUF file`,
    got:
      ggufNames.length === 0 ? "neither" : `${ggufNames.length} of them: ${ggufNames.join(", ")}`,
    ...(ggufNames.length > 1 && { remedy: "name the one you want" }),
  });
}

/** Whether a file opens with the magic of GGUF. @throws BitNetError as `InputFile.open` */
async function isGguf(path: string): Promise<boolean> {
  await using file = await InputFile.open(path);
  if (file.bytes < 4) {
    refuse("checkpoint/truncated", {
      file: path,
      expected: "a model file",
      got: `${file.bytes} bytes`,
    });
  }
  const bytes = await file.read(0, 4);
  return new DataView(bytes.buffer).getUint32(0, true) === ggufMagic;
}

function checkOptions({ i2sLayout }: OpenOptions): void {
  if (i2sLayout === undefined || i2sLayout === 64 || i2sLayout === 128) return;
  throw new BitNetError(
    "checkpoint/bad-option",
    `i2sLayout: expected 64 or 128, got ${String(i2sLayout)}`,
  );
}
