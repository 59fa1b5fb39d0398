/** What memory the machine and this process have: one truth for every estimate and warning. */
import { SystemMemoryLayout } from "./abi.gen.ts";
import { check, core } from "./core.ts";
import { decodeStruct } from "./structs.ts";

/** Bytes. */
export interface SystemMemory {
  /** Of the machine. */
  total: number;
  /** What this process can still take: the machine's, within the limits of its control groups. */
  available: number;
  /** The most this process can have: the tightest limit of its control groups, or `total`. */
  limit: number;
  /** What of this process is in memory, mapped files included. */
  resident: number;
}

/**
 * Reads it anew. File pages that the system would give up count as available.
 * @throws BitNetError `native/unsupported-platform`
 */
export function systemMemory(): SystemMemory {
  const bytes = new Uint8Array(SystemMemoryLayout.size);
  check(core().bn_memory_system(bytes), "reading the system's memory");
  const { total, available, limit, resident } = decodeStruct(SystemMemoryLayout, bytes);
  return { total, available, limit, resident };
}
