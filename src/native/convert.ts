/**
 * One call of the core's conversion: arrays that are lent for the call, of at most
 * `conversionCountMax` elements, on this thread and those of the pool that are free.
 */
import { ptr } from "bun:ffi";
import { ConversionLayout, Plain, type PlainName } from "./abi.gen.ts";
import { check, core } from "./core.ts";

/** Elements of one call: a fraction of a millisecond. */
export const conversionCountMax = 1 << 20;

export interface ConversionRequest {
  source: Uint8Array;
  /** May begin where the source does, not elsewhere within it. */
  target: Uint8Array;
  count: number;
  from: PlainName;
  to: PlainName;
  scale: number;
  zeroPoint: number;
  /** 0 is the core's default. */
  threads: number;
  /** Sum and largest of the errors, clipped elements, such that are no number: added to. */
  loss?: Float64Array;
}

const argBytes = new Uint8Array(ConversionLayout.size);
const words = new Uint32Array(argBytes.buffer);
const floats = new Float32Array(argBytes.buffer);
const at = ConversionLayout.fields;
const ignored = new Float64Array(4);

/** @throws BitNetError `native/invalid-argument` where sizes, dtypes or places do not fit. */
export function convertNow(request: ConversionRequest): void {
  const { source, target, count, loss } = request;
  if (count === 0) return;
  if (!Number.isInteger(count) || count < 0 || count > conversionCountMax) {
    throw new RangeError(`${count} elements are not 0 to ${conversionCountMax}`);
  }
  // Written by hand: for a few thousand elements a general encoder takes longer than they do. What
  // does not fit a word wraps, and the core checks the zero point, the dtypes and the scale.
  writeSize(at.count[0], count);
  writeSize(at.source_size[0], source.byteLength);
  writeSize(at.target_size[0], target.byteLength);
  words[at.from[0] >> 2] = Plain[request.from];
  words[at.to[0] >> 2] = Plain[request.to];
  floats[at.scale[0] >> 2] = request.scale;
  words[at.zero_point[0] >> 2] = request.zeroPoint;
  words[at.thread_count[0] >> 2] = request.threads;
  words[at.measured[0] >> 2] = loss ? 1 : 0;
  const status = core().bn_convert(source, target, argBytes, loss ?? ignored);
  check(status, "converting memory");
}

function writeSize(offset: number, size: number): void {
  words[offset >> 2] = size;
  words[(offset >> 2) + 1] = size / 2 ** 32;
}

/** Where bytes lie: two buffers may be views of the same native memory. Not of empty ones. */
export function addressOf(bytes: Uint8Array): number {
  return Number(ptr(bytes));
}
