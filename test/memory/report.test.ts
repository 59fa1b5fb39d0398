/** What a pool tells of itself: figures that add up, tables, timelines and their drawing. */
import { describe, expect, test } from "bun:test";
import { HybridMemoryPool, type MemoryBlock } from "../../src/memory/index.ts";

const mib = 1 << 20;

test("metrics add up by part, by tag and by class, and fall back to nothing", () => {
  using pool = new HybridMemoryPool();
  const blocks: MemoryBlock[] = [];
  for (let index = 0; index < 1000; index += 1) {
    blocks.push(pool.allocate(100 + (index % 7), { tag: index % 2 ? "odd" : "even" }));
  }
  blocks.push(pool.allocate(3 * mib, { tag: "odd" }), pool.allocate(80 * mib));
  const used = blocks.reduce((sum, { size }) => sum + size, 0);
  const { metrics, tags, classes } = pool.report();
  expect(metrics).toMatchObject({ used, blocks: 1002, allocations: 1002, frees: 0, refusals: 0 });
  expect(metrics.peak).toBe(used);
  const { small, buddy, direct, mapped } = metrics.parts;
  expect([buddy, direct, mapped]).toEqual([3 * mib, 80 * mib, 0]);
  expect(small).toBe(1000 * 112);
  expect(classes).toEqual([{ bytes: 112, blocks: 1000 }]);
  expect(metrics.held).toBeGreaterThanOrEqual(small + buddy + direct);
  expect(metrics.total).toBeGreaterThanOrEqual(metrics.held + metrics.overhead);
  expect(metrics.reserved).toBeGreaterThanOrEqual(metrics.held);
  expect(metrics.internalFragmentation).toBeCloseTo(1 - used / (small + buddy + direct), 6);
  expect(metrics.largestFree).toBeGreaterThan(32 * mib);
  expect(tags.map(({ tag, blocks: count }) => [tag, count])).toEqual([
    ["", 1],
    ["odd", 501],
    ["even", 500],
  ]);
  expect(tags.reduce((sum, tag) => sum + tag.used, 0)).toBe(used);
  for (const block of blocks) block[Symbol.dispose]();
  pool.trim();
  const after = pool.metrics();
  expect([after.used, after.blocks, after.parts]).toEqual([
    0,
    0,
    { small: 0, buddy: 0, direct: 0, mapped: 0 },
  ]);
  expect(after.peak).toBe(used);
});

test("the table names every tag with its share, and how long its blocks lived", () => {
  using pool = new HybridMemoryPool({ level: "standard", name: "shown" });
  using _ = pool.allocate(3 * mib, { tag: "weights" });
  using __ = pool.allocate(1 * mib);
  pool.allocate(10, { tag: "scratch" })[Symbol.dispose]();
  const lines = String(pool.report()).split("\n");
  expect(lines[0]).toMatch(
    /^pool "shown": 4\.0 MiB used in 2 blocks, peak 4\.0 MiB; holds 4\.\d MiB$/,
  );
  expect(lines).toContainEqual(expect.stringMatching(/^weights +3\.0 MiB +75\.0 % +1 +1$/));
  expect(lines).toContainEqual(expect.stringMatching(/^untagged +1\.0 MiB +25\.0 % +1 +1$/));
  expect(lines).toContainEqual(
    expect.stringMatching(/^scratch +0 B +0\.0 % +0 +1 +[\d.]+ [num]?s$/),
  );
});

test("a report is plain data for JSON", () => {
  using pool = new HybridMemoryPool({ level: "standard" });
  using _ = pool.allocate(1000, { tag: "a" });
  const report = pool.report();
  expect(JSON.parse(JSON.stringify(report))).toMatchObject({
    pool: "pool",
    metrics: { used: 1000, maxBytes: null },
    tags: [{ tag: "a", used: 1000, blocks: 1, allocations: 1, lifetimes: null }],
    classes: [{ bytes: 1024, blocks: 1 }],
    faults: [],
  });
});

describe("a timeline", () => {
  test("tells what each tag held when most was held, and the peak", async () => {
    using pool = new HybridMemoryPool({ level: "standard" });
    using _ = pool.allocate(4 * mib, { tag: "weights" });
    await Bun.sleep(20);
    pool.allocate(8 * mib, { tag: "scratch" })[Symbol.dispose]();
    await Bun.sleep(20);
    using __ = pool.allocate(2 * mib, { tag: "cache" });
    const timeline = pool.report().timeline!;
    const of = (name: string): number[] => timeline.tags.find(({ tag }) => tag === name)!.used;
    expect(timeline.tags).toHaveLength(3);
    expect(Math.max(...timeline.used)).toBe(12 * mib);
    expect(timeline.peak.at(-1)).toBe(12 * mib);
    expect(Math.max(...of("scratch"))).toBe(8 * mib);
    expect([of("weights").at(-1), of("scratch").at(-1), of("cache").at(-1)]).toEqual([
      4 * mib,
      0,
      2 * mib,
    ]);
    expect(of("scratch").filter((used) => used > 0).length).toBeLessThan(10);
    for (const [column, used] of timeline.used.entries()) {
      const parts = timeline.tags.reduce((sum, tag) => sum + tag.used[column]!, 0);
      expect(parts).toBe(used);
      expect(timeline.held[column]).toBeGreaterThanOrEqual(column === 0 ? 0 : used);
    }
    expect(timeline.peak).toEqual([...timeline.peak].sort((a, b) => a - b));
  });

  test("shows what came before the kept events without tags", async () => {
    using pool = new HybridMemoryPool({ level: "standard" });
    using _ = pool.allocate(6 * mib, { tag: "early" });
    await Bun.sleep(30);
    for (let index = 0; index < 5000; index += 1)
      pool.allocate(64, { tag: "late" })[Symbol.dispose]();
    const { tags, used } = pool.report().timeline!;
    const earlier = tags.find(({ tag }) => tag === null)!;
    expect(earlier.used[100]).toBe(6 * mib);
    expect(earlier.used.at(-1)).toBe(0);
    expect(tags.find(({ tag }) => tag === "early")!.used.at(-1)).toBe(6 * mib);
    expect(used[100]).toBe(6 * mib);
  });

  test("is drawn with every tag by name, whatever characters it has", () => {
    using pool = new HybridMemoryPool({ level: "standard", name: "a <b>" });
    using _ = pool.allocate(mib, { tag: "k & v" });
    using __ = pool.allocate(mib);
    const svg = pool.report().toSvg();
    expect(svg).toStartWith("<svg ");
    expect(svg).toEndWith("</svg>\n");
    expect(svg).toContain("pool &quot;a &lt;b>&quot;");
    expect(svg).toContain("k &amp; v, 1.0 MiB");
    expect(svg).toContain("untagged, 1.0 MiB");
    expect(svg.match(/<polygon/g)).toHaveLength(2);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  test("is not there below level standard, and drawing it is refused", () => {
    using pool = new HybridMemoryPool();
    const report = pool.report();
    expect(report.timeline).toBeNull();
    expect(() => report.toSvg()).toThrow(expect.objectContaining({ code: "memory/no-timeline" }));
  });
});
