/**
 * The last resort before an allocation fails: whoever knows what can be freed is asked to make
 * room, and the allocation is tried again. The native layer knows only that there is someone; the
 * list of what can be freed lies above it, in `memory`.
 */
import { BitNetError } from "../errors/index.ts";

/** Frees something for an allocation of `bytes`, and tells whether anything was freed. */
export type MakeRoom = (bytes: number) => boolean;

/** Each round frees something; this bounds a list that promises without end. */
const roundsMax = 10_000;

let makeRoom: MakeRoom | undefined;
let isMakingRoom = false;

/** Says who is asked in this thread; undefined for nobody. */
export function setMakeRoom(ask: MakeRoom | undefined): void {
  makeRoom = ask;
}

/** Tries an allocation of about `bytes` until it does not throw, as long as room is made. */
export function allocating(bytes: number, attempt: () => void): void {
  for (let round = 0; ; round += 1) {
    try {
      attempt();
      return;
    } catch (error) {
      if (!isOutOfMemory(error) || round === roundsMax || !ask(bytes)) throw error;
    }
  }
}

/** What is allocated to make room does not ask for room itself. */
function ask(bytes: number): boolean {
  if (makeRoom === undefined || isMakingRoom) return false;
  isMakingRoom = true;
  try {
    return makeRoom(bytes);
  } finally {
    isMakingRoom = false;
  }
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof BitNetError && error.code === "native/out-of-memory";
}
