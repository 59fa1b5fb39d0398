/** How a run has ended, as its status tells. */
import { BitNetError } from "../errors/index.ts";
import { RunState, RunStatusLayout } from "./abi.gen.ts";
import { faultError, readingError } from "./faults.ts";
import type { Reading } from "./run-args.ts";
import { decodeStruct } from "./structs.ts";

/** Of a run that was to read from a file. @throws BitNetError for any end but all steps done */
export function throwUnlessDone(statusBytes: Uint8Array, reading?: Reading): void {
  const status = decodeStruct(RunStatusLayout, statusBytes);
  if (status.state === RunState.done) return;
  if (status.state === RunState.aborted) throw abortError();
  const unread = reading && readingError(status.fault, reading.from);
  if (unread) throw unread;
  throw faultError(status.fault, status.fault_detail, status.instr);
}

export function abortError(): BitNetError {
  return new BitNetError("native/aborted", "the run was aborted");
}
