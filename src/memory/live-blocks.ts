/**
 * What is alive in a pool: by tag at every level but `none`, block by block, with age and origin,
 * from level `standard` up. At a pool's close this is its leak report.
 */
import { type NativePool, PoolRecordLayout } from "../native/index.ts";
import { alignRows, formatBytes, formatDuration } from "./format.ts";
import { tagMetrics } from "./metrics.ts";

/** A block that is alive. */
export interface LiveBlock {
  address: number;
  bytes: number;
  tag: string;
  /** Where it was asked for; empty when nobody said. */
  label: string;
  ageSeconds: number;
  /** The system's number of the thread that asked. */
  thread: number;
}

const blocksShown = 20;

/** All that is alive in a pool at one moment. */
export class LiveReport {
  /** The pool's name. */
  readonly pool: string;
  readonly count: number;
  readonly bytes: number;
  readonly tags: readonly { tag: string; blocks: number; used: number }[];
  /** Largest first; empty below level `standard`. */
  readonly blocks: readonly LiveBlock[];

  /** @internal */
  constructor(live: Pick<LiveReport, "pool" | "count" | "bytes" | "tags" | "blocks">) {
    this.pool = live.pool;
    this.count = live.count;
    this.bytes = live.bytes;
    this.tags = live.tags;
    this.blocks = live.blocks;
  }

  /** Lines for people: the tags, and the largest blocks with where they come from. */
  toString(): string {
    const lines = [
      `pool "${this.pool}": ${this.count} blocks alive, ${formatBytes(this.bytes)}`,
      ...alignRows(
        this.tags.map(({ tag, blocks, used }) => [
          `  ${tag || "untagged"}`,
          `${blocks} blocks`,
          formatBytes(used),
        ]),
      ),
    ];
    for (const block of this.blocks.slice(0, blocksShown)) {
      const from = block.label === "" ? "" : `, from ${block.label}`;
      lines.push(
        `  ${formatBytes(block.bytes)} (${block.tag || "untagged"}) at ` +
          `0x${block.address.toString(16)}, ${formatDuration(block.ageSeconds)} old${from}`,
      );
    }
    const more = this.blocks.length - blocksShown;
    if (more > 0) lines.push(`  and ${more} more`);
    return lines.join("\n");
  }
}

/** What is alive now. */
export function liveReport(native: NativePool, name: string): LiveReport {
  const { live_count, used, now_ns } = native.metrics();
  const tags = tagMetrics(native).filter(({ blocks }) => blocks > 0);
  const names = new Map<string, string>();
  const nameOf = (kind: "tag" | "label", number: number): string => {
    const key = `${kind} ${number}`;
    let found = names.get(key);
    if (found === undefined) {
      found = native.name(kind, number);
      names.set(key, found);
    }
    return found;
  };
  const blocks = native.read("blocks", PoolRecordLayout).map((record) => ({
    address: record.address,
    bytes: record.size,
    tag: nameOf("tag", record.tag),
    label: nameOf("label", record.label),
    ageSeconds: Math.max(0, now_ns - record.allocated_ns) / 1e9,
    thread: record.thread,
  }));
  blocks.sort((a, b) => b.bytes - a.bytes || b.ageSeconds - a.ageSeconds);
  return new LiveReport({
    pool: name,
    count: live_count,
    bytes: used,
    tags: tags.map(({ tag, blocks: count, used: bytes }) => ({ tag, blocks: count, used: bytes })),
    blocks,
  });
}
