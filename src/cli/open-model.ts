/** A model's name to a loaded model, with progress on standard error. */
import { type LoadOptions, loadModel, type Model } from "../engine/index.ts";
import { type HubOptions, type PullProgress, resolveModel } from "../hub/index.ts";
import { bundledDir, hubOptions } from "./environment.ts";
import { tell } from "./output.ts";
import { Progress, type Stage } from "./progress.ts";

/** How a model is found and loaded. */
export interface OpenOptions extends Pick<HubOptions, "revision" | "file"> {
  load?: Omit<LoadOptions, "signal" | "onProgress" | "onWarning">;
  quiet?: boolean;
  signal: AbortSignal;
}

/** Finds the model, pulling it where needed, and loads it. @throws BitNetError */
export async function openModel(name: string, options: OpenOptions): Promise<Model> {
  const { load, quiet = false, signal } = options;
  const progress = new Progress({ quiet });
  try {
    const path = await findModel(name, { ...options, progress });
    return await loadModel(path, {
      ...load,
      signal,
      onProgress: (stage) => progress.update(stage),
      onWarning: (text) => {
        progress.clear();
        tell(`warning: ${text}`);
      },
    });
  } finally {
    progress.clear();
  }
}

/** The path of a model's files, pulled from the hub where needed. @throws BitNetError */
export function findModel(
  name: string,
  { revision, file, signal, progress }: OpenOptions & { progress: Progress },
): Promise<string> {
  return resolveModel(name, {
    ...hubOptions(),
    bundledDir: bundledDir(),
    signal,
    onProgress: (pull) => progress.update(stageOf(pull)),
    ...(revision !== undefined && { revision }),
    ...(file !== undefined && { file }),
  });
}

/** A pull as the progress bar shows it. */
export function stageOf({ file, bytesDone, bytesTotal }: PullProgress): Stage {
  return { stage: `pulling ${file}`, done: bytesDone, total: bytesTotal };
}
