/** The checks of `bitnet doctor`, in the order in which one thing needs the other. */
import { access, constants, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { loadModel } from "../engine/index.ts";
import { BitNetError } from "../errors/index.ts";
import { coreInfo, systemMemory } from "../native/index.ts";
import { bundledDir, bundledModel, cacheDir } from "./environment.ts";
import { folderBytes } from "./folder-bytes.ts";
import { formatBytes, formatSeconds, plural } from "./format.ts";

/** What one check found. */
export interface Finding {
  name: string;
  state: "ok" | "warn" | "fail";
  text: string;
  remedy?: string;
}

/** One thing looked at. */
export type Check = (signal: AbortSignal) => Finding | Promise<Finding>;

/** The oldest Bun that package.json allows. */
const bunWanted = "1.3.0";
/** What the model of 2.4 billion parameters takes, about. */
const memoryWanted = 1.5e9;
const selfCheckTokens = 8;

/** Those of `bitnet doctor` without options. */
export const machineChecks: readonly Check[] = [
  checkBun,
  checkCore,
  checkMemory,
  checkBundledModel,
  checkCache,
  checkGenerating,
];

/** Runs the checks one after the other; a check that throws has failed. */
export async function* findings(
  checks: readonly Check[],
  signal: AbortSignal,
): AsyncGenerator<Finding, void> {
  for (const check of checks) {
    signal.throwIfAborted();
    yield await check(signal);
  }
}

function checkBun(): Finding {
  const text = `${Bun.version} on ${process.platform}-${process.arch}`;
  if (Bun.semver.order(Bun.version, bunWanted) >= 0) return { name: "bun", state: "ok", text };
  const remedy = `\`bun upgrade\`: ${bunWanted} or later is needed`;
  return { name: "bun", state: "fail", text, remedy };
}

function checkCore(): Finding {
  try {
    const { isa, isaLevels, threads, processors } = coreInfo();
    const text =
      `${isa} (this processor runs ${isaLevels.join(", ")}), ` +
      `${plural(threads, "thread")} of ${plural(processors, "processor")}`;
    if (isa !== "scalar") return { name: "core", state: "ok", text };
    const remedy =
      isaLevels.length > 1
        ? "unset BITNET_ISA to let the fastest level run"
        : "none: this processor has no vector instructions that the core knows; it will be slow";
    return { name: "core", state: "warn", text, remedy };
  } catch (error) {
    return failure("core", error);
  }
}

function checkMemory(): Finding {
  try {
    const { available, limit } = systemMemory();
    const text = `${formatBytes(available)} available of ${formatBytes(limit)}`;
    if (available >= memoryWanted) return { name: "memory", state: "ok", text };
    const remedy = "close other programs, or raise the limit of the container, for larger models";
    return { name: "memory", state: "warn", text, remedy };
  } catch (error) {
    return failure("memory", error);
  }
}

async function checkBundledModel(): Promise<Finding> {
  const path = join(bundledDir(), bundledModel);
  const bytes = await folderBytes(path);
  const name = "model";
  if (bytes > 0) {
    return { name, state: "ok", text: `${bundledModel}, ${formatBytes(bytes)}, in ${path}` };
  }
  const text = `${bundledModel} is not in ${bundledDir()}`;
  return { name, state: "fail", text, remedy: "install the package again, or check out its files" };
}

/** The cache appears with the first pull; until then the folder above it must let it. */
async function checkCache(): Promise<Finding> {
  const path = cacheDir();
  const name = "cache";
  try {
    const existing = await nearestFolder(path);
    await access(existing, constants.W_OK);
    const bytes = await folderBytes(path);
    const text = existing === path ? `${path}, ${formatBytes(bytes)}` : `${path}, empty`;
    return { name, state: "ok", text };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const remedy = "set BITNET_HOME to a folder that you may write to; `bitnet pull` needs it";
    return { name, state: "warn", text: `${path}: ${reason}`, remedy };
  }
}

async function nearestFolder(path: string): Promise<string> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isDirectory() === true) return path;
  if (info !== undefined) throw new Error("is a file, not a folder");
  const above = dirname(path);
  if (above === path) throw new Error("no folder above it exists");
  return nearestFolder(above);
}

/** Loads the bundled model and lets it write a few words, twice: they must be the same. */
async function checkGenerating(signal: AbortSignal): Promise<Finding> {
  const name = "generating";
  try {
    const start = performance.now();
    await using model = await loadModel(join(bundledDir(), bundledModel), { signal });
    const write = (): Promise<string> =>
      model
        .generate("Once upon a time", { temperature: 0, maxTokens: selfCheckTokens, signal })
        .text();
    const [first, second] = [await write(), await write()];
    const took = formatSeconds((performance.now() - start) / 1000);
    if (first !== "" && first === second) {
      return { name, state: "ok", text: `${selfCheckTokens} tokens twice alike, in ${took}` };
    }
    const text = `the same prompt gave ${JSON.stringify(first)}, then ${JSON.stringify(second)}`;
    return { name, state: "fail", text, remedy: "try BITNET_ISA=scalar, and report this machine" };
  } catch (error) {
    return failure(name, error);
  }
}

/** Our errors carry their remedy in the message. */
function failure(name: string, error: unknown): Finding {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof BitNetError) return { name, state: "fail", text: `${text} (${error.code})` };
  return { name, state: "fail", text, remedy: "set BITNET_DEBUG=1, run it again and report it" };
}
