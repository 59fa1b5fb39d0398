/**
 * Conversion between plain dtypes (docs/memory.md): without a copy where the bits allow it, in
 * place where the target is the source's own memory, otherwise in slices that the core converts on
 * all free threads. Between slices the event loop has its turn, about every millisecond; what is
 * small is done before the call returns its promise.
 */
import { BitNetError } from "../errors/index.ts";
import { addressOf, convertNow } from "../native/index.ts";
import { type ConversionPreset, type PresetSettings, presets } from "./conversion-presets.ts";
import { type ConversionStatistics, ConversionTally } from "./conversion-statistics.ts";
import {
  bytesOf,
  integerRanges,
  isAligned,
  type PlainArrays,
  type PlainDType,
  type PlainMemory,
  plainArray,
  plainBits,
  plainSize,
  requireDType,
} from "./plain-dtypes.ts";

/** From what to what, and how integers stand for floats: value = (code - zeroPoint) * scale. */
export interface ConversionKind<D extends PlainDType = PlainDType> {
  from: PlainDType;
  to: D;
  /** Between floats and integers only; 1 by default. */
  scale?: number;
  /** The code of 0, within the integer's range; of i32 always 0, the default. */
  zeroPoint?: number;
}

/** How the work is done. */
export interface ConversionPace {
  preset?: ConversionPreset;
  /** Overrides the preset's. 0 takes all threads of the core that are free. */
  threads?: number;
  /** Overrides the preset's: whether errors are measured. */
  measure?: boolean;
  signal?: AbortSignal;
  /** Elements done so far, after each slice. */
  onProgress?: (done: number, total: number) => void;
}

export interface ConvertOptions<D extends PlainDType = PlainDType>
  extends ConversionKind<D>,
    ConversionPace {
  /** Elements; by default all that the source holds. An odd count of i4 has to be given. */
  count?: number;
  /** Where the results go: other memory, or the source's own from its beginning. */
  into?: PlainMemory;
  /** Takes the bits as they are, for dtypes of one size: i8 and u8, f16 and bf16, f32 and i32. */
  reinterpret?: boolean;
}

export interface Converted<D extends PlainDType = PlainDType> {
  /** Over `into`, over the source's memory where nothing was copied, or over memory of its own. */
  data: PlainArrays[D];
  statistics: ConversionStatistics;
}

/** One of several conversions done together. */
export type BatchItem = Omit<ConvertOptions, keyof ConversionPace> & { source: PlainMemory };

/** The event loop has its turn after about this long. */
const turnMs = 1;

/**
 * Converts memory. @throws BitNetError `memory/invalid-option`, `memory/wrong-size`,
 * `memory/misaligned`, `memory/overlap`, `native/aborted` on the signal, `memory/disposed` when the
 * memory is released meanwhile.
 */
export async function convert<D extends PlainDType>(
  source: PlainMemory,
  options: ConvertOptions<D>,
): Promise<Converted<D>> {
  const { results, statistics } = await convertBatch([{ ...options, source }], options);
  return { data: results[0] as PlainArrays[D], statistics };
}

/** Converts several arrays, one after the other, as one piece of work. @throws as `convert` */
export async function convertBatch(
  items: readonly BatchItem[],
  pace: ConversionPace = {},
): Promise<{ results: PlainArrays[PlainDType][]; statistics: ConversionStatistics }> {
  const plans = items.map(planOf);
  const total = plans.reduce((sum, { count }) => sum + count, 0);
  const worker = new ConversionWorker(pace, total);
  // Made now: nobody knows whose the memory is when the caller next has its turn.
  const results = plans.map(({ to, target, count }) => plainArray(to, target, count));
  for (const plan of plans) await worker.convert(plan);
  return { results, statistics: worker.tally.statistics() };
}

/** A checked conversion. */
export interface ConversionPlan extends Required<ConversionKind> {
  source: Uint8Array;
  target: Uint8Array;
  count: number;
  /** Bits that stay as they are need a copy, or not even that. */
  work: "none" | "copy" | "convert";
  /** The target begins where the source does. */
  inPlace: boolean;
}

/** @throws BitNetError `memory/invalid-option` */
export function requireKind(kind: ConversionKind): Required<ConversionKind> {
  const { from, to, scale = 1, zeroPoint = 0 } = kind;
  requireDType("from", from);
  requireDType("to", to);
  const range = crossing(from, to);
  const neutral = scale === 1 && zeroPoint === 0;
  if (!range && !neutral) {
    throw new BitNetError(
      "memory/invalid-option",
      `${from} to ${to}: a scale and a zero point stand between floats and integers only`,
    );
  }
  if (!(Math.fround(scale) > 0) || !Number.isFinite(Math.fround(scale))) {
    throw new BitNetError("memory/invalid-option", `scale: want an f32 above 0, got ${scale}`);
  }
  const [low, high] = range ?? [0, 0];
  if (!Number.isInteger(zeroPoint) || zeroPoint < low || zeroPoint > high) {
    const wanted = `zeroPoint: want a whole number from ${low} to ${high}`;
    throw new BitNetError("memory/invalid-option", `${wanted}, got ${zeroPoint}`);
  }
  return { from, to, scale, zeroPoint };
}

/** Zero points between a float and an integer; undefined between two of a kind. */
function crossing(from: PlainDType, to: PlainDType): readonly [number, number] | undefined {
  const [integer, other] = integerRanges[from] ? [from, to] : [to, from];
  if (!integerRanges[integer] || integerRanges[other]) return undefined;
  return integer === "i32" ? [0, 0] : integerRanges[integer];
}

function planOf(item: BatchItem): ConversionPlan {
  const kind = requireKind(item);
  const { from, to } = kind;
  const { reinterpret = false, into } = item;
  if (reinterpret && plainBits[from] !== plainBits[to]) {
    throw new BitNetError(
      "memory/invalid-option",
      `reinterpret: want dtypes of one size, got ${from} and ${to}`,
    );
  }
  const all = bytesOf(item.source);
  const count = countOf(from, all.byteLength, item.count);
  const source = all.subarray(0, plainSize(from, count));
  const same = from === to || reinterpret;
  if (!into && same && isAligned(to, source)) {
    return { ...kind, source, target: source, count, work: "none", inPlace: true };
  }
  const target = targetOf(to, plainSize(to, count), into);
  const inPlace = into !== undefined && sharesStart(source, target);
  const work = same ? (inPlace ? "none" : "copy") : "convert";
  return { ...kind, source, target, count, work, inPlace };
}

function countOf(dtype: PlainDType, size: number, wanted: number | undefined): number {
  const count = wanted ?? (size * 8) / plainBits[dtype];
  if (!Number.isInteger(count) || count < 0 || plainSize(dtype, count) > size) {
    const asked = wanted === undefined ? "whole elements" : `${wanted} elements`;
    throw new BitNetError("memory/wrong-size", `want ${asked} of ${dtype}, got ${size} bytes`);
  }
  return count;
}

function targetOf(dtype: PlainDType, size: number, into: PlainMemory | undefined): Uint8Array {
  if (!into) return new Uint8Array(size);
  const target = bytesOf(into);
  if (target.byteLength < size) {
    throw new BitNetError(
      "memory/wrong-size",
      `into: want ${size} bytes of ${dtype}, got ${target.byteLength}`,
    );
  }
  if (!isAligned(dtype, target)) {
    throw new BitNetError(
      "memory/misaligned",
      `into: elements of ${dtype} cannot begin at byte ${target.byteOffset}; take another offset`,
    );
  }
  return target.subarray(0, size);
}

/** Whether both begin at one address. @throws BitNetError `memory/overlap` where they but meet */
function sharesStart(source: Uint8Array, target: Uint8Array): boolean {
  if (source.byteLength === 0 || target.byteLength === 0) return false;
  const distance = addressOf(target) - addressOf(source);
  if (distance === 0) return true;
  if (distance < source.byteLength && -distance < target.byteLength) {
    throw new BitNetError(
      "memory/overlap",
      `into: begins ${distance} bytes from the source and meets it; in place it begins with it`,
    );
  }
  return false;
}

/** Does plans one after the other, with one tally, and lets the event loop have its turns. */
export class ConversionWorker {
  readonly tally: ConversionTally;
  readonly #settings: PresetSettings;
  readonly #pace: ConversionPace;
  readonly #total: number;
  #turnStart = performance.now();

  /** `total` is what `onProgress` is told, in elements. */
  constructor(pace: ConversionPace, total: number) {
    this.#settings = settingsOf(pace);
    this.#pace = pace;
    this.#total = total;
    this.tally = new ConversionTally(this.#settings.measure);
  }

  async convert(plan: ConversionPlan): Promise<void> {
    this.#requireHeld(plan);
    if (plan.work === "none") return this.#done(plan.count);
    for (const [start, count] of slicesOf(plan, this.#settings.sliceCount)) {
      if (performance.now() - this.#turnStart >= turnMs) await this.#turn(plan);
      this.#slice(plan, start, count);
    }
  }

  #slice(plan: ConversionPlan, start: number, count: number): void {
    const { from, to, scale, zeroPoint } = plan;
    const source = slice(plan.source, plainSize(from, start), plainSize(from, count));
    const target = slice(plan.target, plainSize(to, start), plainSize(to, count));
    if (plan.work === "copy") {
      target.set(source);
    } else {
      // Results of another size would run over what another thread has yet to read.
      const alone = plan.inPlace && plainBits[from] !== plainBits[to];
      const threads = alone ? 1 : this.#settings.threads;
      const loss = this.tally.sums;
      convertNow({ source, target, count, from, to, scale, zeroPoint, threads, loss });
    }
    this.tally.bytesRead += source.byteLength;
    this.tally.bytesWritten += target.byteLength;
    this.#done(count);
  }

  #done(count: number): void {
    this.tally.elements += count;
    this.#pace.onProgress?.(this.tally.elements, this.#total);
  }

  /** Waits for the event loop's next turn. */
  async #turn(plan: ConversionPlan): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#turnStart = performance.now();
    this.#requireHeld(plan);
  }

  /** After others had a turn: still wanted, and the memory still there? */
  #requireHeld({ from, to, count, source, target }: ConversionPlan): void {
    if (this.#pace.signal?.aborted) {
      throw new BitNetError("native/aborted", "the conversion was aborted");
    }
    const [read, written] = [plainSize(from, count), plainSize(to, count)];
    if (source.byteLength === read && target.byteLength === written) return;
    throw new BitNetError("memory/disposed", "memory was released while it was converted");
  }
}

function slice(bytes: Uint8Array, start: number, size: number): Uint8Array {
  return bytes.subarray(start, start + size);
}

/** The preset, with what is set beside it. @throws BitNetError `memory/invalid-option` */
export function settingsOf({ preset = "balanced", threads, measure }: ConversionPace) {
  if (!Object.hasOwn(presets, preset)) {
    const wanted = Object.keys(presets).join(", ");
    throw new BitNetError("memory/invalid-option", `preset: want ${wanted}, got ${preset}`);
  }
  const base = presets[preset];
  const settings = {
    ...base,
    threads: threads ?? base.threads,
    measure: measure ?? base.measure,
  };
  if (!Number.isInteger(settings.threads) || settings.threads < 0 || settings.threads > 64) {
    throw new BitNetError("memory/invalid-option", `threads: want 0 to 64, got ${threads}`);
  }
  return settings;
}

/** Slices in the order in which an in-place conversion never overwrites what it has yet to read. */
function* slicesOf(
  { from, to, count, inPlace }: ConversionPlan,
  sliceCount: number,
): Generator<[start: number, count: number]> {
  const backwards = inPlace && plainBits[to] > plainBits[from];
  const slices = Math.ceil(count / sliceCount);
  for (let at = 0; at < slices; at += 1) {
    const start = (backwards ? slices - 1 - at : at) * sliceCount;
    yield [start, Math.min(sliceCount, count - start)];
  }
}
