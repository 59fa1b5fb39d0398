/** The C ABI of pools: stale handles, arguments out of range, text that is cut to its buffer. */
import { describe, expect, test } from "bun:test";
import { core } from "../../src/native/core.ts";
import {
  NativePool,
  PoolOptionsLayout,
  PoolTable,
  packManner,
  Status,
} from "../../src/native/index.ts";

const plain = { sizeMax: 0, level: "standard", debug: false, hugePages: true } as const;
const manner = packManner({ align: 16, tag: 0, zeroed: false, sparse: false });

test("handles that never were, or are gone, are refused by every function", () => {
  const pool = NativePool.create(plain);
  const stale = pool.handle;
  pool.release();
  pool.release();
  const out = new Float64Array(64);
  const name = new Uint8Array(8);
  for (const bad of [stale, 1, 1023, 0xffff_ffff, (stale ^ 0x8000_0000) >>> 0]) {
    const statuses = [
      core().bn_pool_options(bad, out),
      core().bn_pool_hold(bad),
      core().bn_pool_release(bad),
      -core().bn_pool_allocate(bad, 16, manner, 0),
      core().bn_pool_free(bad, 4096, 16, 0),
      core().bn_pool_region(bad, 4096, 16, 0, out),
      core().bn_pool_number(bad, 0, name, 4, out),
      core().bn_pool_metrics(bad, out),
      core().bn_pool_read(bad, 0, out, 64, out),
      core().bn_pool_validate(bad, out),
      core().bn_pool_trim(bad),
    ];
    expect(statuses).toEqual(statuses.map(() => Status.invalid_handle));
    expect(core().bn_pool_name(bad, 0, 1, name, 8)).toBe(0);
    expect(core().bn_pool_explain(bad, 4096, name, 8)).toBe(0);
  }
  const next = NativePool.create(plain);
  expect(next.handle).not.toBe(stale);
  next.release();
});

describe("arguments out of range", () => {
  const pool = NativePool.create(plain);
  const { handle } = pool;

  test("of blocks are refused, and nothing is allocated", () => {
    for (const size of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(-core().bn_pool_allocate(handle, size, manner, 0)).toBe(Status.invalid_argument);
    }
    for (const shift of [17, 31]) {
      const bad = shift << 8;
      expect(-core().bn_pool_allocate(handle, 16, bad, 0)).toBe(Status.invalid_argument);
    }
    for (const [address, size] of [
      [0, 16],
      [-8, 16],
      [Number.NaN, 16],
      [2 ** 60, 16],
      [4096, 0],
      [4096, Number.NaN],
    ] as const) {
      expect(core().bn_pool_free(handle, address, size, 0)).toBe(Status.invalid_argument);
    }
    const address = pool.allocate(
      128,
      packManner({ align: 64, tag: 0, zeroed: false, sparse: false }),
      0,
    );
    const region = new Uint32Array(1);
    expect(core().bn_pool_region(handle, address + 16, 64, 0, region)).toBe(
      Status.invalid_argument,
    );
    pool.free(address, 128, 0);
    expect(pool.metrics()).toMatchObject({ used: 0, live_count: 0, allocated_count: 1 });
  });

  test("of tables, levels and names are refused", () => {
    const out = new Uint32Array(2);
    const tables = Object.keys(PoolTable).length;
    expect(core().bn_pool_read(handle, tables, out, 8, out)).toBe(Status.invalid_argument);
    const options = new Uint32Array(PoolOptionsLayout.size / 4);
    options[PoolOptionsLayout.fields.level[0] / 4] = 4;
    expect(core().bn_pool_create(options, out)).toBe(Status.invalid_argument);
    const long = new Uint8Array(201).fill(65);
    expect(core().bn_pool_number(handle, 0, long, 201, out)).toBe(Status.invalid_argument);
    expect(core().bn_pool_number(handle, 0, long, 200, out)).toBe(Status.ok);
    expect(pool.name("tag", out[0]!)).toBe("A".repeat(200));
    expect(pool.name("tag", 63)).toBe("");
    expect(core().bn_pool_name(handle, 0, out[0]!, long, 5)).toBe(5);
  });

  test("options are read back as they were given", () => {
    const given = {
      sizeMax: 12_345_678,
      level: "detailed",
      debug: true,
      hugePages: false,
      idleBytesMax: 4096,
    } as const;
    const other = NativePool.create(given);
    expect(other.options()).toEqual(given);
    expect(pool.options()).toEqual({ ...plain, idleBytesMax: null });
    other.release();
    pool.release();
  });
});
