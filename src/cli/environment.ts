/** What the environment says about models: where they come from, where they are kept. */
import { homedir } from "node:os";
import { join } from "node:path";
import { BitNetError } from "../errors/index.ts";
import type { HubOptions } from "../hub/index.ts";

/** The model that needs no download. */
export const bundledModel = "fairy-tales";

let bundledFolder = join(import.meta.dir, "..", "..", "models");

/** Makes `folder` the place of the bundled models: what a compiled binary does at its start. */
export function useBundledModels(folder: string): void {
  bundledFolder = folder;
}

/** The folder that holds the bundled models. */
export function bundledDir(): string {
  return bundledFolder;
}

/** Hub options as the variables of the Hugging Face tools and our own ask for. */
export function hubOptions(): HubOptions {
  const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE } = process.env;
  const token = HF_TOKEN || HUGGING_FACE_HUB_TOKEN;
  return {
    cacheDir: cacheDir(),
    offline: /^(1|true|yes|on)$/i.test(HF_HUB_OFFLINE ?? ""),
    ...(token && { token }),
    ...(HF_ENDPOINT && { endpoint: HF_ENDPOINT }),
  };
}

/** BITNET_PACKING, in place of the option. @throws BitNetError cli/invalid-value */
export function packingWish(): "auto" | "tile2" | "tile3" {
  const wish = process.env.BITNET_PACKING || "auto";
  if (wish === "auto" || wish === "tile2" || wish === "tile3") return wish;
  throw new BitNetError(
    "cli/invalid-value",
    `BITNET_PACKING: expected auto, tile2 or tile3, got ${JSON.stringify(wish)}`,
  );
}

/** BITNET_HOME, or `bitnet-bun` in the place where this system keeps caches. */
export function cacheDir(): string {
  const { BITNET_HOME, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (BITNET_HOME) return BITNET_HOME;
  if (process.platform === "win32" && LOCALAPPDATA) return join(LOCALAPPDATA, "bitnet-bun");
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "bitnet-bun");
}
