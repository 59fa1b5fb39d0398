/**
 * What a conversion goes for, in one word, and what the word sets. All presets give the same bits:
 * rounding is half to even, once, and integers are clipped to their bounds, everywhere.
 */
import { conversionCountMax } from "../native/index.ts";

export type ConversionPreset = "high-performance" | "low-memory" | "high-precision" | "balanced";

export interface PresetSettings {
  /** Elements converted in one call of the core, between two looks at the clock. */
  sliceCount: number;
  /** 0 takes all threads of the core that are free. */
  threads: number;
  /** Compares every result with its source, at about the cost of a second conversion. */
  measure: boolean;
  /** Bytes of a stream's results at a time. */
  chunkBytes: number;
  /** Whether a stream fetches its next piece while it converts this one. */
  readAhead: boolean;
}

export const presets: Readonly<Record<ConversionPreset, PresetSettings>> = {
  "high-performance": {
    sliceCount: conversionCountMax,
    threads: 0,
    measure: false,
    chunkBytes: 16 << 20,
    readAhead: true,
  },
  "low-memory": {
    sliceCount: 1 << 16,
    threads: 1,
    measure: false,
    chunkBytes: 256 << 10,
    readAhead: false,
  },
  "high-precision": {
    sliceCount: 1 << 18,
    threads: 0,
    measure: true,
    chunkBytes: 4 << 20,
    readAhead: true,
  },
  balanced: {
    sliceCount: 1 << 18,
    threads: 0,
    measure: false,
    chunkBytes: 4 << 20,
    readAhead: true,
  },
};
