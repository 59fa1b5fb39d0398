/** A model in the cache, without the network. */
import { BitNetError } from "../errors/index.ts";
import { cachedCommit, locate, readComplete, revisionFolder } from "./cache.ts";
import type { HubOptions, PulledModel } from "./types.ts";

/** What the cache needs to know to find a model. */
export type CacheOptions = Pick<HubOptions, "cacheDir" | "revision" | "file">;

/** The model as it was pulled; undefined when it was not, or not in full. */
export async function findInCache(
  name: string,
  { cacheDir, revision = "main", file }: CacheOptions,
): Promise<PulledModel | undefined> {
  const commit = await cachedCommit(cacheDir, { name, revision });
  const folder = revisionFolder(cacheDir, name, commit);
  const manifest = await readComplete(folder, file);
  return manifest === undefined ? undefined : locate(folder, manifest, file);
}

/** @throws BitNetError hub/offline when the cache does not hold the model */
export async function findCached(name: string, options: CacheOptions): Promise<PulledModel> {
  const found = await findInCache(name, options);
  if (found !== undefined) return found;
  const what = options.file === undefined ? name : `${name}, ${options.file},`;
  throw new BitNetError(
    "hub/offline",
    `${what} at ${options.revision ?? "main"} is not in ${options.cacheDir}, and offline was asked ` +
      `for; run \`bitnet pull ${name}\` with a network first`,
  );
}
