/**
 * What a run needs besides its program, as abi.zig lays it out: RunArgs, then the bindings, the
 * symbols, the inputs, and what is read from a file. Written in place, so that a run that repeats
 * only writes what changed.
 */
import { FileReadingLayout, RegionBindingLayout, RunArgsLayout } from "./abi.gen.ts";
import { alignedSize, type FileRange, type Region } from "./region.ts";
import { encodeStruct } from "./structs.ts";

const handleAt = RegionBindingLayout.fields.handle[0];
const offsetAt = RegionBindingLayout.fields.offset[0];

/** A part of a file that a run reads into the beginning of a region before its first step. */
export interface Reading {
  /** Index of a state or output region. */
  region: number;
  from: FileRange;
  /** What the next runs will read of the file: the system begins to. */
  ahead?: { offset: number; size: number } | undefined;
}

export interface RunShape {
  steps?: number;
  /** 0 is the core's default. */
  threads?: number;
  /** Regions of the program, arenas and inputs included. */
  regionCount: number;
  symCount?: number;
  /** Bytes of each input region, in order. */
  inputSizes: readonly number[];
  reading?: Reading | undefined;
}

export class RunArgs {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #symStart: number;
  readonly #inputStarts: number[] = [];

  constructor(shape: RunShape) {
    const { steps = 1, threads = 0, regionCount, symCount = 0, inputSizes, reading } = shape;
    this.#symStart = RunArgsLayout.size + regionCount * RegionBindingLayout.size;
    let size = this.#symStart + Math.ceil(symCount / 2) * 8;
    for (const inputSize of inputSizes) {
      this.#inputStarts.push(size);
      size += alignedSize(inputSize);
    }
    const readingStart = size;
    const path = new TextEncoder().encode(reading?.from.path ?? "");
    if (reading) size += FileReadingLayout.size + path.byteLength;
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
    const header = {
      size: RunArgsLayout.size,
      steps,
      region_count: regionCount,
      sym_count: symCount,
      thread_count: threads,
      path_size: path.byteLength,
    };
    encodeStruct(RunArgsLayout, header, { view: this.#view, offset: 0 });
    if (!reading) return;
    const { from, ahead } = reading;
    const fields = {
      region: reading.region,
      region_offset: 0,
      offset: from.offset,
      size: from.size,
      ahead_offset: ahead?.offset ?? 0,
      ahead_size: ahead?.size ?? 0,
    };
    encodeStruct(FileReadingLayout, fields, { view: this.#view, offset: readingStart });
    this.bytes.set(path, readingStart + FileReadingLayout.size);
  }

  /** Binds region `index` of the program, `offset` bytes (a multiple of 64) into the region. */
  bind(index: number, region: Region, offset: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new RangeError(`the offset ${offset} is not a whole number from 0`);
    }
    const at = RunArgsLayout.size + index * RegionBindingLayout.size;
    this.#view.setUint32(at + handleAt, region.handle, true);
    this.#view.setUint32(at + offsetAt, offset >>> 0, true);
    this.#view.setUint32(at + offsetAt + 4, Math.floor(offset / 2 ** 32), true);
  }

  setSym(index: number, value: number): void {
    if (!Number.isInteger(value) || value < 0) throw new RangeError(`size ${index} is ${value}`);
    this.#view.setUint32(this.#symStart + index * 4, value, true);
  }

  /** The bytes that input `index` of the next run will hold. */
  input(index: number): Uint8Array {
    return this.bytes.subarray(this.#inputStarts[index]!, this.#inputStarts[index + 1]);
  }
}
