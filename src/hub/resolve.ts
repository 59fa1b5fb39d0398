/**
 * A model's name to the path of its files: a bundled model, something on disk, or a model of the
 * hub, which is pulled when the cache does not hold it.
 */
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { BitNetError } from "../errors/index.ts";
import { findCached, findInCache } from "./find.ts";
import { checkFileName, checkRevision, isHubName } from "./names.ts";
import { pullModel } from "./pull.ts";
import type { HubOptions } from "./types.ts";

/**
 * In this order: the name of a bundled model, an existing path, `owner/name` of the hub. A model
 * that the cache holds is used without asking the hub; `pullModel` brings it up to date.
 * @throws BitNetError hub/not-found, hub/invalid-name, hub/offline, or as `pullModel`
 */
export async function resolveModel(
  name: string,
  options: HubOptions & { bundledDir?: string },
): Promise<string> {
  if (typeof name !== "string" || name === "" || name.includes("\0")) {
    throw new BitNetError(
      "hub/invalid-name",
      `model: expected a name or a path, got ${JSON.stringify(name)}`,
    );
  }
  options.signal?.throwIfAborted();
  const bundled = await bundledPath(name, options.bundledDir);
  if (bundled !== undefined) return bundled;
  if (await exists(name)) return resolve(name);
  if (looksLikePath(name) || !isHubName(name)) await refuseName(name, options.bundledDir);
  return (await fromHub(name, options)).path;
}

async function fromHub(name: string, options: HubOptions): Promise<{ path: string }> {
  checkRevision(options.revision ?? "main");
  if (options.file !== undefined) checkFileName(options.file, name);
  if (options.offline === true) return findCached(name, options);
  return (await findInCache(name, options)) ?? pullModel(name, options);
}

async function bundledPath(
  name: string,
  bundledDir: string | undefined,
): Promise<string | undefined> {
  if (bundledDir === undefined || !/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(name)) return undefined;
  const path = join(bundledDir, name);
  return (await exists(path)) ? path : undefined;
}

function looksLikePath(name: string): boolean {
  return /^[./~\\]|^[A-Za-z]:|\\|\.(gguf|safetensors)$/.test(name);
}

async function refuseName(name: string, bundledDir: string | undefined): Promise<never> {
  if (looksLikePath(name)) {
    throw new BitNetError(
      "hub/not-found",
      `${resolve(name)}: expected a model folder or file, got nothing there; check the path`,
    );
  }
  const bundled = bundledDir === undefined ? [] : await namesIn(bundledDir);
  const known = bundled.length === 0 ? "" : ` (${bundled.join(", ")})`;
  throw new BitNetError(
    "hub/invalid-name",
    `${JSON.stringify(name)}: expected a bundled model${known}, a path, or "owner/name" of the hub`,
  );
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch {
    return [];
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
