/**
 * One set-up at a time in a checkout: a lock file that its holder touches every second. A lock
 * left by a dead process is taken over at once on the same host, elsewhere when it has not been
 * touched for ten seconds (process ids of another container say nothing).
 */
import {
  existsSync,
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { interruptible } from "./process.mjs";

const touchEveryMs = 1000;
const staleAfterMs = 10_000;

/**
 * Runs `body` as the only holder of the lock file at `path`.
 * @template T
 * @param {string} path
 * @param {{ onWait: () => void }} hooks `onWait` is called once, when another process holds it
 * @param {() => Promise<T>} body
 * @returns {Promise<T>}
 */
export async function withLock(path, { onWait }, body) {
  for (let waits = 0; !tryLock(path); ) {
    if (removeStale(path)) continue;
    if (waits === 0) onWait();
    waits += 1;
    await sleep(100);
  }
  const beat = setInterval(() => touch(path), touchEveryMs);
  const unlock = () => {
    clearInterval(beat);
    rmSync(path, { force: true });
  };
  try {
    return await interruptible(unlock, body);
  } finally {
    unlock();
  }
}

/**
 * The lock appears by a hard link, whole or not at all, with its holder's name in it.
 * @param {string} path
 */
function tryLock(path) {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, `${hostname()} ${process.pid}`);
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    return false;
  } finally {
    rmSync(own, { force: true });
  }
}

/**
 * Of several processes that find a dead lock only one can rename it away.
 * @param {string} path
 * @returns {boolean} whether it is worth trying again at once
 */
function removeStale(path) {
  const aside = `${path}.${process.pid}.stale`;
  try {
    const holder = readFileSync(path, "utf8");
    if (!isDead(path, holder)) return false;
    renameSync(path, aside);
    // A new holder may have come between the look and the rename: give it its lock back.
    if (readFileSync(aside, "utf8") !== holder) linkSync(aside, path);
    return true;
  } catch (error) {
    if (codeOf(error) !== "ENOENT" && codeOf(error) !== "EEXIST") throw error;
    return true;
  } finally {
    rmSync(aside, { force: true });
  }
}

/**
 * @param {string} path
 * @param {string} holder
 */
function isDead(path, holder) {
  if (Date.now() - statSync(path).mtimeMs > staleAfterMs) return true;
  const [host, pid] = holder.split(" ");
  if (host !== hostname()) return false;
  if (Number(pid) === process.pid) return true;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return codeOf(error) === "ESRCH";
  }
}

/**
 * A lock that is gone was removed by a person: the step under way goes on without it.
 * @param {string} path
 */
function touch(path) {
  if (existsSync(path)) utimesSync(path, new Date(), new Date());
}

/** @param {unknown} error */
function codeOf(error) {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
