/**
 * Wakes JavaScript while native runs are under way. On the main thread the core calls one
 * threadsafe callback; in a Worker none is ever registered, since a call into a Worker that was
 * terminated crashes the process: there a timer polls. A ref'ed timer keeps the process alive.
 */
import { check, core, JSCallback } from "./core.ts";

/** A run that is waited for. */
export interface Pending {
  /** Looks at the run's state; true when it has ended. */
  poll(): boolean;
  /** Called once, after `poll` was true. */
  finish(): void;
}

const keepAliveMs = 250;
const pollMs = 1;

const pendings = new Set<Pending>();
let timer: ReturnType<typeof setInterval> | undefined;
let callback: JSCallback | undefined;
let exitHooked = false;

/** Polls the run until it has ended. */
export function watch(pending: Pending): void {
  pendings.add(pending);
  hookExit();
  if (Bun.isMainThread && callback === undefined) {
    callback = new JSCallback(onWake, { args: [], returns: "void", threadsafe: true });
    check(core().bn_notify_set(callback.ptr as never), "registering the wake callback");
  }
  timer ??= setInterval(drain, Bun.isMainThread ? keepAliveMs : pollMs);
  // The run may have ended before anyone listened.
  queueMicrotask(drain);
}

function onWake(): void {
  core().bn_notify_ack();
  drain();
}

function drain(): void {
  for (const pending of pendings) {
    if (!pending.poll()) continue;
    pendings.delete(pending);
    pending.finish();
  }
  if (pendings.size === 0 && timer !== undefined) {
    clearInterval(timer);
    timer = undefined;
  }
}

/** At exit no native thread may be left that could call back: cancel, join, then leave. */
function hookExit(): void {
  if (exitHooked || !Bun.isMainThread) return;
  exitHooked = true;
  process.on("exit", () => {
    core().bn_core_close();
    callback?.close();
  });
}
