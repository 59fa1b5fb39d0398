/** Which names are models of the hub, and which file names may become files here. */
import { BitNetError } from "../errors/index.ts";

/** One step of a hub name. Source: `REPO_ID_REGEX` of huggingface/huggingface_hub. */
const step = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?$/;

/** Whether `name` has the form `owner/name`. */
export function isHubName(name: string): boolean {
  const steps = name.split("/");
  return steps.length === 2 && steps.every((one) => step.test(one) && !one.includes(".."));
}

/** @throws BitNetError hub/invalid-name */
export function checkHubName(name: string): void {
  if (typeof name === "string" && isHubName(name)) return;
  throw new BitNetError(
    "hub/invalid-name",
    `model name: expected "owner/name" as on the hub, got ${JSON.stringify(name)}`,
  );
}

/**
 * Refuses file names that would leave the model's folder or mean something else on some system.
 * @throws BitNetError hub/unsafe-path
 */
export function checkFileName(path: string, repo: string): void {
  const steps = path.split("/");
  const isSafe =
    path.length <= 1_000 &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are refused.
    !/[\\:*?"<>|\x00-\x1f\x7f]/.test(path) &&
    steps.every((one) => one !== "" && one !== "." && one !== ".." && !/[. ]$/.test(one));
  if (isSafe) return;
  throw new BitNetError(
    "hub/unsafe-path",
    `${repo}: expected file names inside the model's folder, got ${JSON.stringify(path)}; ` +
      "nothing was written",
  );
}

/** @throws BitNetError hub/invalid-option */
export function checkRevision(revision: string): void {
  const isName = /^[A-Za-z0-9][A-Za-z0-9_./-]{0,254}$/.test(revision) && !revision.includes("..");
  if (isName) return;
  throw new BitNetError(
    "hub/invalid-option",
    `revision: expected a branch, tag or commit, got ${JSON.stringify(revision)}`,
  );
}
