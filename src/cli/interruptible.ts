/**
 * Ctrl-C, `kill` and a closed terminal: the first signal aborts the work, which then ends in
 * order; a second one ends the process at once.
 */
import { constants } from "node:os";
import { endLine } from "./output.ts";

let takeInterrupt: (() => void) | undefined;

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type EndSignal = (typeof signals)[number];

/**
 * Runs `body` with a signal that aborts when the process is told to end. Its exit code is then
 * 128 + n, whatever `body` returns or throws because of it.
 */
export async function interruptible(
  body: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const controller = new AbortController();
  let received: EndSignal | undefined;
  const take = (signal: EndSignal): void => {
    if (signal === "SIGINT" && takeInterrupt !== undefined) {
      takeInterrupt();
      return;
    }
    if (received !== undefined) process.exit(exitCodeOf(signal));
    received = signal;
    controller.abort();
  };
  for (const signal of signals) process.on(signal, take);
  try {
    const code = await body(controller.signal);
    return received === undefined ? code : exitCodeOf(received);
  } catch (error) {
    if (received === undefined) throw error;
    await endLine().catch(() => {});
    return exitCodeOf(received);
  } finally {
    for (const signal of signals) process.off(signal, take);
  }
}

/** While the result is not disposed, Ctrl-C calls `handler` instead of ending the command. */
export function interceptInterrupts(handler: () => void): Disposable {
  const before = takeInterrupt;
  takeInterrupt = handler;
  return {
    [Symbol.dispose]() {
      takeInterrupt = before;
    },
  };
}

function exitCodeOf(signal: EndSignal): number {
  return 128 + constants.signals[signal];
}
