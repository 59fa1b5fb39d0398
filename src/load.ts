/** The package's front door: a model by name, folder or file. */
import { homedir } from "node:os";
import { join } from "node:path";
import { type LoadOptions, loadModel, type Model, tuningFileName } from "./engine/index.ts";
import { type HubOptions, resolveModel } from "./hub/index.ts";

/** What `load` takes besides the engine's options: where models are kept and fetched from. */
export type LoadModelOptions = LoadOptions & Partial<Omit<HubOptions, "onProgress">>;

const bundledDir = join(import.meta.dir, "..", "models");

/**
 * Loads a model: a bundled name ("fairy-tales"), a folder, a .gguf file, or "owner/name" of the
 * hub, which is fetched once and kept.
 *
 * @example
 * ```ts
 * await using model = await load("fairy-tales");
 * for await (const piece of model.generate("Once upon a time")) process.stdout.write(piece.text);
 * ```
 * @throws BitNetError with a code of `hub`, `checkpoint`, `models`, `text` or `engine`
 */
export async function load(name: string, options: LoadModelOptions = {}): Promise<Model> {
  const { cacheDir = defaultCacheDir(), ...rest } = options;
  const { endpoint, token, revision, offline, signal, file } = rest;
  const path = await resolveModel(name, {
    cacheDir,
    endpoint,
    token,
    revision,
    offline,
    signal,
    file,
    bundledDir,
  });
  return loadModel(path, { tuningFile: join(cacheDir, tuningFileName), ...rest });
}

function defaultCacheDir(): string {
  return join(homedir(), ".cache", "bitnet-bun");
}
