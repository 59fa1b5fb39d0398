/** The engine's pool: what it counts, what it refuses, and what a block takes of the machine. */
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { limitMemory, memoryMetrics, Region } from "../../src/native/index.ts";

const mib = 2 ** 20;

afterEach(() => limitMemory(Number.POSITIVE_INFINITY));

describe("the engine's memory", () => {
  test("counts by what it is for", () => {
    const before = memoryMetrics();
    using weights = Region.create(3 * mib, { tag: "weights" });
    using cache = Region.create(100 * mib, { tag: "kv-cache", sparse: true });
    const now = memoryMetrics();
    expect(now.usedBy.weights - before.usedBy.weights).toBe(weights.size);
    expect(now.usedBy["kv-cache"] - before.usedBy["kv-cache"]).toBe(cache.size);
    expect(now.used - before.used).toBe(103 * mib);
    expect(now.held).toBeGreaterThanOrEqual(now.used);
    expect(now.total).toBeGreaterThanOrEqual(now.held);
    expect(now.peak).toBeGreaterThanOrEqual(now.used);
    expect(now.limit).toBe(Number.POSITIVE_INFINITY);
  });

  test("beyond its limit is refused, in words that say who holds it", () => {
    using weights = Region.create(24 * mib, { tag: "weights" });
    limitMemory(memoryMetrics().held + mib);
    expect(memoryMetrics().limit).toBe(memoryMetrics().held + mib);
    let message = "";
    try {
      Region.create(8 * mib, { tag: "tensor" });
    } catch (error) {
      expect(error).toMatchObject({ code: "native/out-of-memory" });
      message = String(error);
    }
    expect(message).toContain(`allocating ${8 * mib} bytes (tensor): the memory limit is reached`);
    expect(message).toContain("wanted 8.0MiB, the pool holds ");
    expect(message).toContain("weights 24.0MiB in ");
    limitMemory(Number.POSITIVE_INFINITY);
    Region.create(8 * mib)[Symbol.dispose]();
    expect(weights.disposed).toBe(false);
  });

  test("refuses limits that are no size", () => {
    for (const bad of [-1, 0.5, Number.NaN, 2 ** 60]) {
      expect(() => limitMemory(bad)).toThrow(`a memory limit of ${bad} bytes`);
    }
  });

  test.skipIf(process.platform !== "linux")("is not resident before it is touched", () => {
    const before = residentBytes();
    using sparse = Region.create(48 * mib, { sparse: true });
    using dense = Region.create(256 * mib);
    expect(residentBytes() - before).toBeLessThan(16 * mib);
    sparse.bytes(20 * mib, 20 * mib).fill(1);
    expect(residentBytes() - before).toBeLessThan(40 * mib);
    expect(dense.bytes(dense.size - 1)[0]).toBe(0);
  });
});

/** What the core says in a process of its own with this environment. */
function inChild(env: Record<string, string>): string {
  const script = `
    import { Region } from "./src/native/index.ts";
    using region = Region.create(40 * 2 ** 20, { tag: "weights" });
    console.log(region.bytes().every((byte) => byte === 0));
  `;
  const { stdout, stderr } = Bun.spawnSync([process.execPath, "-e", script], {
    cwd: join(import.meta.dir, "..", ".."),
    env: { ...process.env, ...env },
  });
  return `${stdout}${stderr}`;
}

describe("the environment", () => {
  test("chooses how closely the pool is watched", () => {
    expect(inChild({ BITNET_MEMORY_TRACKING: "detailed" })).toBe("true\n");
    expect(inChild({ BITNET_MEMORY_DEBUG: "1" })).toBe("true\n");
    const refused = inChild({ BITNET_MEMORY_TRACKING: "close" });
    expect(refused).toContain('want none, basic, standard, detailed, got "close"');
  });

  test("limits the pool", () => {
    const refused = inChild({ BITNET_MEMORY_LIMIT: String(32 * mib) });
    expect(refused).toContain("native/out-of-memory");
    expect(refused).toContain("of 32.0MiB");
    expect(inChild({ BITNET_MEMORY_LIMIT: "much" })).toContain('want bytes, got "much"');
  });
});

function residentBytes(): number {
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}
