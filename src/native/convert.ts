/**
 * One call of the core's conversion: arrays that are lent for the call, of at most
 * `conversionCountMax` elements, on this thread and those of the pool that are free.
 */
import { ptr } from "bun:ffi";
import { ConversionLayout, Plain, type PlainName } from "./abi.gen.ts";
import { check, core } from "./core.ts";
import { encodeStruct } from "./structs.ts";

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
const argView = new DataView(argBytes.buffer);
const ignored = new Float64Array(4);

/** @throws BitNetError `native/invalid-argument` where sizes, dtypes or places do not fit. */
export function convertNow(request: ConversionRequest): void {
  const { source, target, count, scale, threads, loss } = request;
  if (count === 0) return;
  const values = {
    count,
    source_size: source.byteLength,
    target_size: target.byteLength,
    from: Plain[request.from],
    to: Plain[request.to],
    scale,
    zero_point: request.zeroPoint,
    thread_count: threads,
    measured: loss ? 1 : 0,
  };
  encodeStruct(ConversionLayout, values, { view: argView, offset: 0 });
  const status = core().bn_convert(source, target, argBytes, loss ?? ignored);
  check(status, `converting ${request.from} to ${request.to}`);
}

/** Where bytes lie: two buffers may be views of the same native memory. Not of empty ones. */
export function addressOf(bytes: Uint8Array): number {
  return Number(ptr(bytes));
}
