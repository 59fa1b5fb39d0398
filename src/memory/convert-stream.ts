/**
 * Conversion of what comes piece by piece: pieces of any sizes in, arrays of at most a limit out.
 * Elements that are cut apart between two pieces are joined. While a piece is converted the next
 * one is fetched, so that reading and converting overlap.
 */
import { BitNetError } from "../errors/index.ts";
import type { PresetSettings } from "./conversion-presets.ts";
import type { ConversionStatistics } from "./conversion-statistics.ts";
import {
  type ConversionKind,
  type ConversionPace,
  ConversionWorker,
  requireKind,
  settingsOf,
} from "./convert.ts";
import {
  bytesOf,
  isAligned,
  type PlainArrays,
  type PlainDType,
  type PlainMemory,
  plainArray,
  plainBits,
  plainSize,
} from "./plain-dtypes.ts";

export interface ConvertStreamOptions<D extends PlainDType>
  extends ConversionKind<D>,
    ConversionPace {
  /**
   * Bytes of results there are at a time; by default the preset's. The pieces of the source are
   * the producer's: one is held, and a second where the preset reads ahead.
   */
  memoryLimit?: number;
}

export type PieceSource = AsyncIterable<PlainMemory> | Iterable<PlainMemory>;

/** Arrays of converted elements, in order, and what was done so far. */
export class ConvertedStream<D extends PlainDType> implements AsyncIterable<PlainArrays[D]> {
  readonly #source: PieceSource;
  readonly #kind: Required<ConversionKind>;
  readonly #settings: PresetSettings;
  readonly #worker: ConversionWorker;
  readonly #countMax: number;
  /** Bytes before the first whole group of elements. */
  #rest = new Uint8Array(0);

  constructor(source: PieceSource, options: ConvertStreamOptions<D>) {
    this.#source = source;
    this.#kind = requireKind(options);
    this.#settings = settingsOf(options);
    // The total of a stream is not known: progress says what is done as both.
    const { onProgress } = options;
    const onDone = onProgress && ((done: number) => onProgress(done, done));
    this.#worker = new ConversionWorker({ ...options, onProgress: onDone }, 0);
    const { memoryLimit = this.#settings.chunkBytes } = options;
    const countMax = Math.floor((memoryLimit * 8) / plainBits[this.#kind.to]);
    // Even, so that no pair of i4 is cut apart.
    this.#countMax = countMax - (countMax % 2);
    if (!(this.#countMax >= 2) || !Number.isFinite(memoryLimit)) {
      throw new BitNetError(
        "memory/invalid-option",
        `memoryLimit: want bytes of two elements of ${this.#kind.to} or more, got ${memoryLimit}`,
      );
    }
  }

  /** What has been done so far. */
  get statistics(): ConversionStatistics {
    return this.#worker.tally.statistics();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PlainArrays[D]> {
    const { from } = this.#kind;
    for await (const piece of this.#pieces()) {
      const bytes = this.#joined(bytesOf(piece));
      // Whole pairs of elements; what is left waits for the next piece.
      const pairSize = plainSize(from, 2);
      const count = Math.floor(bytes.byteLength / pairSize) * 2;
      yield* this.#arrays(bytes, count);
      this.#rest = bytes.slice(plainSize(from, count));
    }
    const left = (this.#rest.byteLength * 8) / plainBits[from];
    if (!Number.isInteger(left)) {
      const wanted = `whole elements of ${from}`;
      throw new BitNetError(
        "memory/wrong-size",
        `want ${wanted}, got ${this.#rest.byteLength} bytes behind the last at the stream's end`,
      );
    }
    yield* this.#arrays(this.#rest, left);
    this.#rest = new Uint8Array(0);
  }

  async *#arrays(bytes: Uint8Array, count: number): AsyncGenerator<PlainArrays[D]> {
    const { from, to } = this.#kind;
    for (let start = 0; start < count; start += this.#countMax) {
      const part = Math.min(this.#countMax, count - start);
      const at = plainSize(from, start);
      const source = bytes.subarray(at, at + plainSize(from, part));
      const kept = from === to && isAligned(to, source);
      const target = kept ? source : new Uint8Array(plainSize(to, part));
      const work = kept ? "none" : from === to ? "copy" : "convert";
      const plan = { ...this.#kind, source, target, count: part, work, inPlace: kept } as const;
      await this.#worker.convert(plan);
      yield plainArray(to, target, part) as PlainArrays[D];
    }
  }

  #joined(piece: Uint8Array): Uint8Array {
    if (this.#rest.byteLength === 0) return piece;
    const joined = new Uint8Array(this.#rest.byteLength + piece.byteLength);
    joined.set(this.#rest);
    joined.set(piece, this.#rest.byteLength);
    return joined;
  }

  /** The source's pieces; the next one is asked for before this one is worked on. */
  async *#pieces(): AsyncGenerator<PlainMemory> {
    if (!this.#settings.readAhead) return yield* this.#source;
    const iterator =
      Symbol.asyncIterator in this.#source
        ? this.#source[Symbol.asyncIterator]()
        : this.#source[Symbol.iterator]();
    let ended = false;
    try {
      let coming = Promise.resolve(iterator.next());
      while (true) {
        const { done, value } = await coming;
        if (done) {
          ended = true;
          return;
        }
        coming = Promise.resolve(iterator.next());
        // It may fail while nobody waits for it; who does then is told.
        coming.catch(() => {});
        yield value;
      }
    } finally {
      if (!ended) await iterator.return?.();
    }
  }
}

/** Converts pieces as they come. @throws BitNetError as `convert`, when it is made or read */
export function convertStream<D extends PlainDType>(
  source: PieceSource,
  options: ConvertStreamOptions<D>,
): ConvertedStream<D> {
  return new ConvertedStream(source, options);
}
