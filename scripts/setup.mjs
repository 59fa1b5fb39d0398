/**
 * Set-up by need: installs the packages and builds the native core when either is missing or out
 * of date, says one line per step on stderr, and costs a few milliseconds when nothing changed.
 * Imports only Node's own modules: it runs before anything is installed, under Node 20+ or Bun.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { withLock } from "./setup/lock.mjs";
import { SetupError } from "./setup/process.mjs";
import { steps } from "./setup/steps.mjs";
import { findBun } from "./setup/tools.mjs";

const nodeMajorMin = 20;

/** @typedef {"deps" | "core"} Need */

/** The root of this checkout. */
export const checkout = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Makes sure that what `need` names is there; several processes may call it at once.
 * @param {{ need?: Need[], root?: string, say?: (line: string) => void }} [options]
 * @throws {SetupError} with one sentence that says what is missing and the remedy
 */
export async function ensureSetup({
  need = ["deps", "core"],
  root = checkout,
  say = (line) => console.error(`set-up: ${line}`),
} = {}) {
  checkRuntime();
  const context = { root, say };
  const isDone = () => need.every((name) => steps[name].isDone(context));
  if (isDone()) return;
  const onWait = () => say("waiting for another set-up of this checkout");
  await withLock(join(root, ".setup-lock"), { onWait }, async () => {
    for (const name of need) {
      const step = steps[name];
      if (step.isDone(context)) continue;
      const start = performance.now();
      await step.run(context);
      say(`${step.title} ready (${((performance.now() - start) / 1000).toFixed(1)} s)`);
    }
  });
}

/**
 * The frame of every script here: set-up, then `body` with Bun's path; its number is the exit code.
 * @param {{ need?: Need[] }} options
 * @param {(bun: string) => Promise<number>} body
 */
export async function withSetup({ need = ["deps", "core"] }, body) {
  try {
    await ensureSetup({ need });
    process.exitCode = await body(findBun(checkout));
  } catch (error) {
    report(error);
    process.exitCode = 1;
  }
}

/**
 * Prints what a person can mend; any other error is ours and goes on.
 * @param {unknown} error
 */
export function report(error) {
  if (!(error instanceof SetupError)) throw error;
  if (error.output !== "") console.error(error.output);
  console.error(`set-up: ${error.message}`);
}

function checkRuntime() {
  if (process.versions.bun) return;
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= nodeMajorMin) return;
  throw new SetupError(
    `Node ${process.versions.node} is too old: install Node ${nodeMajorMin} or newer ` +
      "from https://nodejs.org, or use Bun (`bun install && bun --bun start`)",
  );
}
