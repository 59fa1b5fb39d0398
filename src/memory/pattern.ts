/** What a pattern is, and what it is found in: plain data, in bytes and seconds. */
export type PatternKind = "size" | "periodic" | "bursty" | "device" | "leak" | "fragmentation";

/** A setting that the suggestion comes down to, by the name of the option that has it. */
export interface PatternSetting {
  name: string;
  value: number | string | boolean;
}

export interface Pattern {
  kind: PatternKind;
  /** 0.5 to below 1. */
  confidence: number;
  /** What was found, in words. */
  finding: string;
  suggestion: string;
  setting?: PatternSetting;
}

/** The pool's use at one time, in seconds and bytes. */
export interface UseSample {
  time: number;
  used: number;
  /** What the pool has given out, with what rounding and gaps cost. */
  held: number;
}

export interface PatternSource {
  /** In order of time. */
  samples: readonly UseSample[];
  /** How many blocks of each size were asked for, or are live. */
  sizes?: readonly SizeCount[];
  /** Bytes held of each device now, and its limit where it has one. */
  devices?: readonly DeviceUse[];
}

export interface DeviceUse {
  name: string;
  held: number;
  limit: number | null;
}

/** How many blocks of one size there are. */
export interface SizeCount {
  /** Bytes of a block. */
  size: number;
  count: number;
}

/** A pattern before its confidence is known. */
export interface Evidence extends Omit<Pattern, "confidence"> {
  /** 0 to 1. */
  effect: number;
  samples: number;
}
