/**
 * Child processes of the set-up and of the scripts: quiet ones whose output is kept for the case of
 * a failure, and attached ones that take over the terminal. Signals reach the child, and its end
 * becomes our end.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";

const outputLinesMax = 60;

/** A failure that a person can mend: printed as its sentence, after the output of its cause. */
export class SetupError extends Error {
  /**
   * @param {string} sentence
   * @param {string} [output] what the failed program printed
   */
  constructor(sentence, output = "") {
    super(sentence);
    this.output = output.trimEnd().split("\n").slice(-outputLinesMax).join("\n");
  }
}

/** @type {Set<import("node:child_process").ChildProcess>} */
const children = new Set();

/** @typedef {{ cwd: string, env?: NodeJS.ProcessEnv, shell?: boolean }} Where */

/**
 * Runs a command to its end and keeps what it prints; `onText` sees the text as it comes.
 * @param {string[]} command
 * @param {Where & { onText?: (text: string) => void }} options
 * @returns {Promise<{ code: number, output: string }>}
 */
export function runQuiet([program = "", ...args], { onText, ...where }) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...where, stdio: ["ignore", "pipe", "pipe"] });
    children.add(child);
    let output = "";
    const take = (/** @type {string} */ text) => {
      output += text;
      onText?.(text);
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
    child.on("error", (error) => reject(new SetupError(`cannot run ${program}: ${error.message}`)));
    child.on("close", (code, signal) => {
      children.delete(child);
      resolve({ code: signal ? exitCodeOf(signal) : (code ?? 1), output });
    });
  });
}

/**
 * Runs a command on our own terminal. A terminal sends Ctrl-C to the child as well, so it is
 * passed on only where there is none.
 * @param {string[]} command
 * @param {Where} where
 * @returns {Promise<number>} the exit code, 128 + n where signal n ended the child
 */
export function runAttached([program = "", ...args], where) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...where, stdio: "inherit" });
    const onTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
    const release = forwardSignals((signal) => {
      if (signal !== "SIGINT" || !onTerminal) child.kill(signal);
    });
    child.on("error", (error) => {
      release();
      reject(new SetupError(`cannot run ${program}: ${error.message}`));
    });
    child.on("exit", (code, signal) => {
      release();
      resolve(signal ? exitCodeOf(signal) : (code ?? 1));
    });
  });
}

/**
 * Runs `body`; a signal meanwhile ends the quiet children, calls `cleanup` and ends us.
 * @template T
 * @param {() => void} cleanup
 * @param {() => Promise<T>} body
 * @returns {Promise<T>}
 */
export async function interruptible(cleanup, body) {
  const release = forwardSignals((signal) => {
    for (const child of children) child.kill(signal);
    cleanup();
    process.exit(exitCodeOf(signal));
  });
  try {
    return await body();
  } finally {
    release();
  }
}

/**
 * @param {(signal: NodeJS.Signals) => void} take
 * @returns {() => void} stops listening
 */
function forwardSignals(take) {
  /** @type {NodeJS.Signals[]} */
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, take);
  return () => {
    for (const signal of signals) process.off(signal, take);
  };
}

/** @param {NodeJS.Signals} signal */
function exitCodeOf(signal) {
  return 128 + (constants.signals[signal] ?? 0);
}
