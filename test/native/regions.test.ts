/** Buffers of the core: bounds, files, and who keeps them alive until when. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import os, { tmpdir } from "node:os";
import { join } from "node:path";
import { BitNetError } from "../../src/errors/index.ts";
import { core } from "../../src/native/core.ts";
import {
  memoryMetrics,
  Region,
  Status,
  setMakeRoom,
  systemMemory,
} from "../../src/native/index.ts";
import {
  countingInputs,
  countingProgram,
  doublingProgram,
  endless,
  pairInputs,
  pairProgram,
  pairSize,
} from "./counting.ts";

/** Collects until nothing more goes. */
async function collectAll(): Promise<void> {
  for (let last = -1; last !== memoryMetrics().used; ) {
    last = memoryMetrics().used;
    for (let round = 0; round < 3; round += 1) {
      Bun.gc(true);
      await Bun.sleep(1);
    }
  }
}

describe("a region", () => {
  test("is zeroed, and refuses sizes that no machine has", () => {
    for (const size of [1, 1000, 1 << 20, (3 << 20) + 1]) {
      using region = Region.create(size);
      expect(region.bytes().length).toBe(size);
      expect(region.bytes().every((byte) => byte === 0)).toBe(true);
    }
    for (const size of [0, -1, 1.5, Number.NaN, 2 ** 50, 2 ** 60, Number.POSITIVE_INFINITY]) {
      expect(() => Region.create(size)).toThrow(`allocating ${size} bytes`);
    }
  });

  test("a number is read where it lies, and nowhere else", () => {
    const region = Region.create(24);
    const view = new DataView(region.bytes().buffer);
    view.setFloat32(4, 1.5, true);
    view.setFloat64(8, -1e300, true);
    view.setInt32(20, -7, true);
    expect(region.number("f32", 4)).toBe(1.5);
    expect(region.number("f64", 8)).toBe(-1e300);
    expect(region.number("i32", 20)).toBe(-7);
    expect(() => region.number("f64", 20)).toThrow(RangeError);
    expect(() => region.number("i32", -4)).toThrow(RangeError);
    region[Symbol.dispose]();
    expect(() => region.number("f32", 4)).toThrow(
      expect.objectContaining({ code: "native/disposed" }),
    );
  });

  test("gives views of any part, and none beyond its ends", () => {
    using region = Region.create(100);
    region.bytes(10, 5).fill(7);
    expect([...region.bytes(9, 7)]).toEqual([0, 7, 7, 7, 7, 7, 0]);
    expect(region.bytes(100).length).toBe(0);
    expect(region.bytes(10, 5).buffer).toBe(region.bytes(10, 5).buffer);
    for (const [offset, size] of [
      [0, 101],
      [96, 5],
      [-1, 2],
      [101, 0],
    ] as const) {
      expect(() => region.bytes(offset, size)).toThrow(RangeError);
    }
  });

  test("takes its views away when it is released", () => {
    const region = Region.create(100);
    const views = [region.bytes(), region.bytes(20, 10)];
    region[Symbol.dispose]();
    expect(views.map((view) => view.length)).toEqual([0, 0]);
    expect(region.disposed).toBe(true);
    region[Symbol.dispose]();
    expect(() => region.bytes()).toThrow("after its release");
    expect(() => region.handle).toThrow("after its release");
  });

  test("maps and reads files, all of what is asked or nothing", () => {
    const folder = mkdtempSync(join(tmpdir(), "region-"));
    const path = join(folder, "ten bytes");
    try {
      writeFileSync(path, "0123456789");
      using mapped = Region.map({ path, offset: 0, size: 10 });
      expect(new TextDecoder().decode(mapped.bytes(2, 5))).toBe("23456");
      expect(() => Region.map({ path, offset: 0, size: 11 })).toThrow("shorter");
      for (const offset of [1, 4096, -65536, 0.5]) {
        expect(() => Region.map({ path, offset, size: 1 })).toThrow(BitNetError);
      }
      expect(() => Region.map({ path: join(folder, "none"), offset: 0, size: 1 })).toThrow(
        "cannot be opened",
      );
      using region = Region.create(16);
      region.readFile({ path, offset: 3, size: 4 }, 5);
      expect(new TextDecoder().decode(region.bytes(4, 6))).toBe("\x003456\0");
      expect(() => region.readFile({ path, offset: 7, size: 4 })).toThrow("shorter");
      expect(() => region.readFile({ path, offset: 0, size: 10 }, 7)).toThrow("out of range");
      expect(() => region.readFile({ path: folder, offset: 0, size: 1 })).toThrow();
      expect(() => mapped.readFile({ path, offset: 0, size: 1 })).toThrow();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("a mapped region", () => {
  const folder = mkdtempSync(join(tmpdir(), "mapped-"));
  const path = join(folder, "file");
  afterAll(() => rmSync(folder, { recursive: true }));

  test("of a copy can be written, and the file keeps its bytes", () => {
    writeFileSync(path, "0123456789");
    using copy = Region.map({ path, offset: 0, size: 10 }, "copy_on_write");
    copy.bytes(2, 2).set([0x78, 0x79]);
    copy.advise("cold");
    expect(new TextDecoder().decode(copy.bytes())).toBe("01xy456789");
    expect(readFileSync(path, "utf8")).toBe("0123456789");
  });

  test("takes every advice and keeps its bytes", () => {
    const bytes = Buffer.alloc(50_000, "abc");
    writeFileSync(path, bytes);
    using region = Region.map({ path, offset: 0, size: bytes.length });
    for (const advice of ["sequential", "will_need", "random", "cold", "normal"] as const) {
      region.advise(advice);
      region.advise(advice, 12_345, 20_000);
      expect(bytes.equals(region.bytes())).toBe(true);
    }
    expect(() => region.advise("cold", 1, bytes.length)).toThrow("out of range");
    expect(core().bn_region_advise(region.handle, 5, 0, 1)).toBe(Status.invalid_argument);
    expect(() => region.discard(0, 10)).toThrow(BitNetError);
  });

  test.skipIf(process.platform === "win32")("tells when its file has shrunk", async () => {
    writeFileSync(path, new Uint8Array(8192));
    using region = Region.map({ path, offset: 0, size: 8192 });
    using program = doublingProgram(region);
    using output = Region.create(64);
    const run = { inputs: {}, regions: { output } };
    expect(await program.submit(run)).toBe(1);
    // Another file at the same path is another file.
    renameSync(path, `${path} elsewhere`);
    writeFileSync(path, "short");
    region.checkFile();
    expect(await program.submit(run)).toBe(1);
    truncateSync(`${path} elsewhere`, 4096);
    expect(() => region.checkFile()).toThrow("shorter");
    await expect(program.submit(run)).rejects.toMatchObject({ code: "native/io" });
  });
});

describe("discarding", () => {
  test("gives whole pages back and leaves the rest as it was", () => {
    const size = 4 << 20;
    using region = Region.create(size, { sparse: true });
    region.bytes().fill(7);
    const before = systemMemory().resident;
    const won = region.discard(100_000, 3_000_000);
    expect(won).toBeGreaterThan(2_900_000);
    expect(won).toBeLessThanOrEqual(3_000_000);
    if (process.platform === "linux") {
      expect(before - systemMemory().resident).toBeGreaterThan(2_000_000);
    }
    const bytes = region.bytes();
    expect(bytes.subarray(0, 100_000).every((byte) => byte === 7)).toBe(true);
    expect(bytes.subarray(3_100_000).every((byte) => byte === 7)).toBe(true);
    bytes.fill(9);
    expect(bytes.every((byte) => byte === 9)).toBe(true);
    expect(region.discard(5, 100)).toBe(0);
    expect(() => region.discard(size, 1)).toThrow("out of range");
  });

  test("is refused while a run is bound to the region", async () => {
    using program = countingProgram();
    using count = Region.create(1 << 16);
    const abort = new AbortController();
    const run = program.submit({
      inputs: countingInputs,
      regions: { count },
      steps: endless,
      signal: abort.signal,
    });
    expect(() => count.discard()).toThrow("a run is using it");
    abort.abort();
    await expect(run).rejects.toMatchObject({ code: "native/aborted" });
    expect(count.discard()).toBeGreaterThan(0);
  });
});

// Windows commits what it gives, so there is no such region at all.
test.skipIf(process.platform === "win32")(
  "an allocation that fails is tried again as long as room is made, and then tells why",
  () => {
    // Address space ends somewhere, whatever is in it.
    const huge = 2 ** 46;
    const hoard: Region[] = [];
    const hoardOne = () => hoard.push(Region.create(huge, { sparse: true }));
    const fill = () => {
      while (hoard.length < 9) hoardOne();
    };
    expect(fill).toThrow(`allocating ${huge} bytes`);
    const asked: number[] = [];
    setMakeRoom((bytes) => {
      if (asked.push(bytes) > 1) return false;
      hoard.pop()![Symbol.dispose]();
      return true;
    });
    try {
      hoardOne();
      expect(asked).toEqual([huge]);
      expect(hoardOne).toThrow(`allocating ${huge} bytes`);
      expect(asked).toEqual([huge, huge]);
    } finally {
      setMakeRoom(undefined);
      for (const region of hoard) region[Symbol.dispose]();
    }
  },
);

test("the system's memory: the parts fit into the whole", () => {
  const { total, available, limit, resident } = systemMemory();
  expect(total).toBeGreaterThanOrEqual(limit);
  expect(limit).toBeGreaterThanOrEqual(available);
  expect(total).toBe(os.totalmem());
  const { rss } = process.memoryUsage();
  expect(resident / rss).toBeGreaterThan(0.5);
  expect(resident / rss).toBeLessThan(2);
});

describe("memory", () => {
  test("that is forgotten is collected, in a synchronous loop too", async () => {
    await collectAll();
    const before = memoryMetrics();
    // The collector comes the sooner, the less is alive beside these: 400 MB are enough for it.
    let created = 0;
    while (created < 200_000 && memoryMetrics().regions - before.regions === created) {
      Region.create(2000);
      created += 1;
    }
    expect(created).toBeLessThan(200_000);
    await collectAll();
    expect(memoryMetrics().regions - before.regions).toBeLessThan(10);
  });

  test("stays while one of its views is in use, then goes", async () => {
    await collectAll();
    const before = memoryMetrics().regions;
    const work = (): void => {
      const views = Array.from({ length: 100 }, (_, index) => {
        const region = Region.create(1 << 12);
        return new Int32Array(region.bytes(64, 1024).buffer).fill(index);
      });
      Bun.gc(true);
      expect(memoryMetrics().regions - before).toBe(100);
      expect(views.every((view, index) => view.every((value) => value === index))).toBe(true);
    };
    work();
    await collectAll();
    expect(memoryMetrics().regions - before).toBeLessThan(10);
  });

  test("of programs, runs and regions is all given back", async () => {
    await collectAll();
    const before = memoryMetrics();
    for (let round = 0; round < 5; round += 1) {
      using program = pairProgram(round % 2 === 0);
      using first = Region.create(pairSize);
      using second = Region.create(pairSize);
      const run = { inputs: pairInputs, regions: { first, second }, steps: 20 };
      await Promise.all([program.submit(run), program.submit(run), program.submit(run)]);
      program.now({ ...run, steps: 1 });
      const abort = new AbortController();
      const stopped = program.submit({ ...run, steps: endless, signal: abort.signal });
      abort.abort();
      await expect(stopped).rejects.toMatchObject({ code: "native/aborted" });
    }
    const after = memoryMetrics();
    expect([after.used, after.mapped, after.regions]).toEqual([
      before.used,
      before.mapped,
      before.regions,
    ]);
    expect(after.peak).toBeGreaterThanOrEqual(before.used + 2 * pairSize);
  });

  test("that a run uses outlives its release, and goes with the run", async () => {
    const before = memoryMetrics();
    const program = countingProgram();
    const count = Region.create(1 << 16);
    const abort = new AbortController();
    const run = program.submit({
      inputs: countingInputs,
      regions: { count },
      steps: endless,
      signal: abort.signal,
    });
    count[Symbol.dispose]();
    program[Symbol.dispose]();
    // What comes next must not get the same memory.
    using other = Region.create(1 << 16);
    await Bun.sleep(5);
    expect(other.bytes().every((byte) => byte === 0)).toBe(true);
    expect(memoryMetrics().used - before.used).toBeGreaterThanOrEqual(2 << 16);
    abort.abort();
    await expect(run).rejects.toMatchObject({ code: "native/aborted" });
    expect(memoryMetrics().used - before.used).toBe(1 << 16);
  });
});

test("handles that never were, or are gone, are refused by every function", () => {
  const region = Region.create(64);
  const stale = region.handle;
  region[Symbol.dispose]();
  const out = new Float64Array(8);
  const args = new Uint8Array(64);
  for (const bad of [0, stale, 1, 0xffff_ffff, (stale ^ 0x8000_0000) >>> 0, 0xf_ffff]) {
    const statuses = [
      core().bn_region_release(bad),
      core().bn_region_address(bad, out),
      core().bn_region_check_file(bad),
      core().bn_region_advise(bad, 0, 0, 0),
      core().bn_region_discard(bad, 0, 0, out),
      core().bn_region_read(bad, 0, args, 1, 0, 1),
      core().bn_program_release(bad),
      core().bn_run_now(bad, args, args.length, out),
      core().bn_run_submit(bad, args, args.length, out),
      core().bn_run_poll(bad, out),
      core().bn_run_cancel(bad),
      core().bn_run_wait(bad, 0),
      core().bn_run_release(bad),
      core().bn_profile_set(bad, 1, 0),
      core().bn_profile_events(bad, out, 0, out),
      core().bn_profile_read(bad, out, 1),
    ];
    expect(statuses).toEqual(statuses.map(() => Status.invalid_handle));
  }
  // A new region in the old place has another handle.
  using next = Region.create(64);
  expect(next.handle).not.toBe(stale);
});
