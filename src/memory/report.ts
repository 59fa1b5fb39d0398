/**
 * All that a pool tells of itself at one moment: a plain object for programs (and JSON), a table
 * for people, a drawing of its use over time.
 */
import { BitNetError } from "../errors/index.ts";
import {
  type NativePool,
  PoolFaultKind,
  PoolFaultLayout,
  PoolRecordLayout,
  PoolSampleLayout,
} from "../native/index.ts";
import { alignRows, formatBytes, formatDuration } from "./format.ts";
import {
  type ClassMetrics,
  classMetrics,
  type PoolMetrics,
  poolMetrics,
  type TagMetrics,
  tagMetrics,
} from "./metrics.ts";
import type { Pattern } from "./pattern.ts";
import { findPatterns } from "./patterns.ts";
import { drawTimeline } from "./report-svg.ts";
import { readTimeline, type Timeline } from "./timeline.ts";

/** Something that went wrong with a block, as debug mode saw it. */
export interface PoolFault {
  kind: keyof typeof PoolFaultKind;
  address: number;
  seconds: number;
}

/** Made by `pool.report` alone. */
export class PoolReport {
  readonly pool: string;
  readonly metrics: PoolMetrics;
  /** The largest holders first. */
  readonly tags: readonly TagMetrics[];
  /** Small blocks by size, where there are any. */
  readonly classes: readonly ClassMetrics[];
  /** Null below level `standard`. */
  readonly timeline: Timeline | null;
  /** What stands out in how the pool was used, most confident first; from level `standard` up. */
  readonly patterns: readonly Pattern[];
  /** The first 32; empty but in debug mode. */
  readonly faults: readonly PoolFault[];

  /** @internal */
  constructor(native: NativePool, name: string) {
    this.pool = name;
    this.metrics = poolMetrics(native);
    this.tags = tagMetrics(native);
    this.classes = classMetrics(native);
    this.timeline = readTimeline(native, this.tags);
    this.patterns = readPatterns(native, this.metrics);
    this.faults = native.read("faults", PoolFaultLayout).map(({ kind, address, time_ns }) => ({
      kind: faultNames[kind]!,
      address,
      seconds: time_ns / 1e9,
    }));
  }

  /** Lines for people: what is held, by tag, and how well it fits. */
  toString(): string {
    const { metrics } = this;
    const limit = metrics.maxBytes === null ? "" : ` of ${formatBytes(metrics.maxBytes)}`;
    const lines = [
      `pool "${this.pool}": ${formatBytes(metrics.used)} used in ${metrics.blocks} blocks, ` +
        `peak ${formatBytes(metrics.peak)}; holds ${formatBytes(metrics.held)}${limit}`,
      "",
      ...alignRows([
        [
          "tag",
          "used",
          "share",
          "blocks",
          "allocated",
          ...(this.#hasLifetimes ? ["mean life"] : []),
        ],
        ...this.tags.map((tag) => this.#tagRow(tag)),
      ]),
      "",
      ...alignRows(this.#figures().map(([label, value]) => [label, value])),
    ];
    for (const { finding, suggestion, confidence } of this.patterns) {
      lines.push(`${Math.round(100 * confidence)} % sure: ${finding}; ${suggestion}`);
    }
    for (const { kind, address, seconds } of this.faults) {
      const what = kind.replaceAll("_", " ");
      lines.push(`fault: ${what} at 0x${address.toString(16)}, after ${formatDuration(seconds)}`);
    }
    return lines.join("\n");
  }

  /**
   * An SVG of use over time: the tags stacked, the peak so far, and what the pool held for them.
   * @throws BitNetError `memory/no-timeline` below level `standard`
   */
  toSvg(): string {
    if (this.timeline !== null) return drawTimeline(this.timeline, `pool "${this.pool}"`);
    throw new BitNetError(
      "memory/no-timeline",
      `pool "${this.pool}" keeps no timeline: open it with level "standard" or "detailed"`,
    );
  }

  get #hasLifetimes(): boolean {
    return this.tags.some(({ lifetimes }) => lifetimes !== null);
  }

  #tagRow({ tag, used, blocks, allocations, lifetimes }: TagMetrics): string[] {
    const share = this.metrics.used > 0 ? `${((100 * used) / this.metrics.used).toFixed(1)} %` : "";
    const life = lifetimes === null ? "" : formatDuration(lifetimes.meanSeconds);
    return [tag || "untagged", formatBytes(used), share, `${blocks}`, `${allocations}`, life];
  }

  #figures(): [string, string][] {
    const { parts, internalFragmentation, externalFragmentation, ...metrics } = this.metrics;
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    const figures: [string, string][] = [
      ["small blocks", formatBytes(parts.small)],
      ["large blocks", formatBytes(parts.buddy)],
      ["own mappings", formatBytes(parts.direct)],
      ["mapped files", formatBytes(parts.mapped)],
      ["kept for reuse", formatBytes(metrics.idle)],
      ["the pool's tables", formatBytes(metrics.overhead)],
      ["may be resident", formatBytes(metrics.total)],
      ["address space", formatBytes(metrics.reserved)],
      ["lost to rounding", percent(internalFragmentation)],
      ["free memory apart", percent(externalFragmentation)],
      ["largest free block", formatBytes(metrics.largestFree)],
    ];
    if (metrics.refusals > 0) figures.push(["refused", `${metrics.refusals}`]);
    return figures;
  }
}

/** Those of the whole life of the pool, from its samples and its live blocks. */
function readPatterns(native: NativePool, { held, maxBytes }: PoolMetrics): Pattern[] {
  const samples = native.read("samples", PoolSampleLayout).map((sample) => ({
    time: sample.time_ns / 1e9,
    used: sample.used_max,
    held: sample.held_max,
  }));
  if (samples.length === 0) return [];
  const counts = new Map<number, number>();
  for (const { size } of native.read("blocks", PoolRecordLayout)) {
    counts.set(size, (counts.get(size) ?? 0) + 1);
  }
  const sizes = [...counts].map(([size, count]) => ({ size, count }));
  return findPatterns({ samples, sizes, devices: [{ name: "cpu", held, limit: maxBytes }] });
}

const faultNames = Object.keys(PoolFaultKind) as (keyof typeof PoolFaultKind)[];
