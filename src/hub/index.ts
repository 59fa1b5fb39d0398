/** Names of models to files on disk: bundled, local, cached, pulled from the hub. */
export { listModels } from "./cache.ts";
export { pullModel } from "./pull.ts";
export { resolveModel } from "./resolve.ts";
export type { CachedModel, HubOptions, PulledModel, PullProgress } from "./types.ts";
