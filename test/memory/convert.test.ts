/** Conversions of memory: values of every pair, zero copies, in place, batches, refusals. */
import { describe, expect, test } from "bun:test";
import { Graph, Program } from "../../src/graph/index.ts";
import {
  convert,
  convertBatch,
  HybridMemoryPool,
  type PlainDType,
} from "../../src/memory/index.ts";
import { Region } from "../../src/native/index.ts";
import { normals } from "../graph/reference.ts";
import { converted, encode, plainDTypes, sameValues, sourceOf } from "./plain-reference.ts";

/** More than one slice of every preset but high-performance's. */
const longCount = 300_000;

function bytesOf(view: ArrayBufferView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
}

describe("convert", () => {
  test("f16 and bf16: all 65,536 values become f32 and come back", async () => {
    for (const half of ["f16", "bf16"] as const) {
      const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);
      const wide = await convert(all, { from: half, to: "f32" });
      const back = await convert(wide.data, { from: "f32", to: half });
      expect(sameValues(half, bytesOf(back.data), bytesOf(all))).toBe(true);
      expect(
        sameValues(
          "f32",
          bytesOf(wide.data),
          converted({ from: half, to: "f32" }, bytesOf(all), 65_536),
        ),
      ).toBe(true);
    }
  });

  test("known bits: ties, subnormals, infinities, what is not a number", async () => {
    const words = [
      0x3f802000, 0x3f801000, 0x3f803000, 0x33800000, 0x33000000, 0x33000001, 0x477fefff,
      0x477ff000, 0x7f800000, 0xff800000, 0x7fc00000, 0x80000000,
    ];
    const source = Uint32Array.from(words);
    const { data: f16 } = await convert(source, { from: "f32", to: "f16" });
    expect([...new Uint16Array(f16.buffer)]).toEqual([
      0x3c01, 0x3c00, 0x3c02, 0x0001, 0x0000, 0x0001, 0x7bff, 0x7c00, 0x7c00, 0xfc00, 0x7e00,
      0x8000,
    ]);
    const { data: bf16 } = await convert(Uint32Array.of(0x3f808000, 0x3f818000, 0x7f7fffff, 1), {
      from: "f32",
      to: "bf16",
    });
    expect([...bf16]).toEqual([0x3f80, 0x3f82, 0x7f80, 0]);
    const x = Float32Array.of(0.5, 1.5, 2.5, -0.5, 300, -300, Number.NaN, Number.POSITIVE_INFINITY);
    expect([...(await convert(x, { from: "f32", to: "i8" })).data]).toEqual([
      0, 2, 2, 0, 127, -128, 0, 127,
    ]);
    expect([...(await convert(x, { from: "f32", to: "u8" })).data]).toEqual([
      0, 2, 2, 0, 255, 0, 0, 255,
    ]);
    expect([...(await convert(x, { from: "f32", to: "i4" })).data]).toEqual([
      0x20, 0x02, 0x87, 0x70,
    ]);
  });

  test("every pair in place gives what it gives elsewhere, over several slices", async () => {
    for (const from of plainDTypes) {
      const source = encode(from, [...normals(longCount, 3, 60)]);
      for (const to of plainDTypes) {
        const apart = await convert(source, { from, to });
        const memory = new Uint8Array(longCount * 4);
        memory.set(source);
        const { data } = await convert(memory.subarray(0, source.byteLength), {
          from,
          to,
          into: memory,
          preset: "low-memory",
        });
        expect(data.buffer).toBe(memory.buffer);
        expect(Buffer.compare(bytesOf(data), bytesOf(apart.data))).toBe(0);
      }
    }
  });

  test("native memory is read and written where it is", async () => {
    using from = Region.create(longCount * 2);
    using to = Region.create(longCount * 4);
    const values = Float16Array.from(normals(longCount, 5));
    from.bytes().set(bytesOf(values));
    const { data, statistics } = await convert(from, { from: "f16", to: "f32", into: to });
    expect(new Float32Array(to.bytes().buffer)).toEqual(Float32Array.from(values));
    expect(data.buffer).toBe(to.bytes().buffer as never);
    expect(statistics).toMatchObject({
      elements: longCount,
      bytesRead: longCount * 2,
      bytesWritten: longCount * 4,
      loss: null,
    });
    // Two views of one region are the same memory, whatever buffers they have.
    const head = from.bytes(0, 200);
    await convert(head, { from: "f16", to: "bf16", into: from });
    const want = converted({ from: "f16", to: "bf16" }, bytesOf(values), 100);
    expect(bytesOf(from.bytes(0, 200))).toEqual(want);
  });

  test("a pool's blocks are read and written where they are, until they are freed", async () => {
    using pool = new HybridMemoryPool();
    const half = pool.allocate(2 * longCount);
    const wide = pool.allocate(4 * longCount);
    half.view(Float16Array).fill(0.5);
    const { data } = await convert(half, { from: "f16", to: "f32", into: wide });
    expect(data.buffer).toBe(wide.bytes().buffer);
    expect(wide.view(Float32Array).every((value) => value === 0.5)).toBe(true);
    using long = pool.allocate(64 << 20);
    const work = convert(long, { from: "f32", to: "i8", into: long, measure: true, threads: 1 });
    long[Symbol.dispose]();
    await expect(work).rejects.toMatchObject({ code: "memory/disposed" });
    await expect(convert(long, { from: "f32", to: "i8" })).rejects.toMatchObject({
      code: "memory/disposed",
    });
  });

  test("nothing is copied where the bits are the same", async () => {
    const x = Int8Array.of(-1, 2, -128);
    const same = await convert(x, { from: "i8", to: "i8" });
    expect(same.data.buffer).toBe(x.buffer);
    expect(same.statistics).toMatchObject({ elements: 3, bytesRead: 0, bytesWritten: 0 });
    const bits = await convert(x, { from: "i8", to: "u8", reinterpret: true });
    expect(bits.data.buffer).toBe(x.buffer as never);
    expect([...bits.data]).toEqual([255, 2, 128]);
    expect([...(await convert(x, { from: "i8", to: "u8" })).data]).toEqual([0, 2, 0]);
    const into = new Uint8Array(5);
    const copied = await convert(x, { from: "i8", to: "u8", reinterpret: true, into });
    expect([...into]).toEqual([255, 2, 128, 0, 0]);
    expect(copied.statistics).toMatchObject({ bytesRead: 3, bytesWritten: 3 });
    // Floats that begin between two addresses of floats can only be copied.
    const shifted = new Uint8Array([0, 0, 0, 128, 63]).subarray(1);
    expect([...(await convert(shifted, { from: "f32", to: "f32" })).data]).toEqual([1]);
  });

  test("a scale and a zero point, there and back", async () => {
    const x = Float32Array.of(-1, -0.25, 0, 0.3, 1, 50, Number.NaN);
    const kind = { scale: 0.01, zeroPoint: 100 } as const;
    const { data } = await convert(x, { from: "f32", to: "u8", ...kind });
    expect([...data]).toEqual([0, 75, 100, 130, 200, 255, 100]);
    const back = await convert(data, { from: "u8", to: "f32", ...kind });
    expect([...back.data]).toEqual(
      [...data].map((code) => Math.fround((code - 100) * Math.fround(0.01))),
    );
  });

  test("high-precision measures errors, clipped elements and such that are no number", async () => {
    const x = new Float32Array(longCount).fill(0.25);
    x.set([300, -300, Number.NaN, 1.5, Number.POSITIVE_INFINITY], 200_000);
    const options = { from: "f32", to: "i8", preset: "high-precision" } as const;
    const { statistics } = await convert(x, options);
    const sum = (longCount - 5) * 0.25 + 173 + 172 + 0.5;
    expect(statistics.loss).toEqual({
      largestError: 173,
      meanError: sum / longCount,
      saturated: 3,
      nans: 1,
    });
    const one = await convert(x, { ...options, threads: 1 });
    expect(one.statistics.loss).toEqual(statistics.loss);
    const exact = await convert(x, { from: "f32", to: "f16", measure: true });
    expect(exact.statistics.loss).toMatchObject({ largestError: 0, saturated: 0, nans: 1 });
  });

  test("all presets and thread counts give the same bits", async () => {
    const { bytes } = sourceOf("f32");
    const want = converted({ from: "f32", to: "bf16" }, bytes, bytes.byteLength / 4);
    for (const preset of [
      "high-performance",
      "low-memory",
      "high-precision",
      "balanced",
    ] as const) {
      for (const threads of [0, 1, 2, 5]) {
        const { data } = await convert(bytes, { from: "f32", to: "bf16", preset, threads });
        expect(sameValues("bf16", bytesOf(data), want)).toBe(true);
      }
    }
  });

  test("a batch is one piece of work with one statistic", async () => {
    const halves = [1, 3, 70_000].map((count) => Float16Array.from(normals(count, count)));
    const { results, statistics } = await convertBatch(
      halves.map((source) => ({ source, from: "f16", to: "f32" as PlainDType })),
      { measure: true },
    );
    results.forEach((result, i) => {
      expect(result).toEqual(Float32Array.from(halves[i]!));
    });
    expect(statistics).toMatchObject({
      elements: 70_004,
      bytesRead: 140_008,
      bytesWritten: 280_016,
    });
    expect(statistics.loss).toMatchObject({ largestError: 0, meanError: 0 });
    expect((await convertBatch([])).results).toEqual([]);
  });

  test("no elements are converted to none, an odd count of i4 is said", async () => {
    expect((await convert(new Uint8Array(0), { from: "i8", to: "f32" })).data.length).toBe(0);
    const nibbles = Uint8Array.of(0x21, 0xf3);
    const { data } = await convert(nibbles, { from: "i4", to: "i8", count: 3 });
    expect([...data]).toEqual([1, 2, 3]);
    expect([...(await convert(nibbles, { from: "i4", to: "i8" })).data]).toEqual([1, 2, 3, -1]);
  });
});

describe("convert: the event loop", () => {
  test("goes on while a long conversion is under way, and progress is told", async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const x = new Float32Array(8_000_000).fill(1.5);
    const seen: number[] = [];
    const { statistics } = await convert(x, {
      from: "f32",
      to: "bf16",
      measure: true,
      threads: 1,
      onProgress: (done, total) => seen.push(done / total),
    });
    clearInterval(timer);
    expect(statistics.loss?.largestError).toBe(0);
    expect(ticks).toBeGreaterThan(0);
    expect(seen.at(-1)).toBe(1);
    expect(seen.length).toBeGreaterThan(10);
  });

  test("what is small is done when the call returns", () => {
    const into = new Float16Array(1000);
    void convert(new Float32Array(1000).fill(2), { from: "f32", to: "f16", into });
    expect(into[999]).toBe(2);
  });

  test("what is done stays done when its target is released right after", async () => {
    const region = Region.create(4000);
    const work = convert(new Float16Array(1000).fill(2), { from: "f16", to: "f32", into: region });
    region[Symbol.dispose]();
    const { data, statistics } = await work;
    expect([data.length, statistics.elements]).toEqual([0, 1000]);
  });

  test("runs and conversions share the pool, and neither waits for the other", async () => {
    const graph = new Graph();
    const x = graph.input("x", "f32", [400_000]);
    graph.one("copy", [x], { into: [graph.output("y", "bf16", [400_000])] });
    using program = new Program(graph);
    using y = Region.create(800_000);
    const values = normals(400_000, 6);
    const run = program.submit({ inputs: { x: values }, regions: { y }, steps: 200, threads: 2 });
    let ended = false;
    void run.then(() => {
      ended = true;
    });
    const want = (await convert(values, { from: "f32", to: "bf16", threads: 1 })).data;
    do {
      const { data } = await convert(values, { from: "f32", to: "bf16", preset: "low-memory" });
      const shared = await convert(values, { from: "f32", to: "bf16", threads: 2 });
      expect(Buffer.compare(bytesOf(data), bytesOf(want))).toBe(0);
      expect(Buffer.compare(bytesOf(shared.data), bytesOf(want))).toBe(0);
      await Bun.sleep(0);
    } while (!ended);
    expect(await run).toBe(200);
    expect(Buffer.compare(y.bytes(), bytesOf(want))).toBe(0);
  });

  test("an abort ends it between two slices", async () => {
    const controller = new AbortController();
    const work = convert(new Float32Array(40_000_000), {
      from: "f32",
      to: "f16",
      measure: true,
      signal: controller.signal,
    });
    controller.abort();
    await expect(work).rejects.toMatchObject({ code: "native/aborted" });
  });

  test("memory that is released meanwhile is an error, not a crash", async () => {
    const region = Region.create(64_000_000);
    const work = convert(region, { from: "f32", to: "f16", measure: true });
    region[Symbol.dispose]();
    await expect(work).rejects.toMatchObject({ code: "memory/disposed" });
    const moved = new Float32Array(16_000_000);
    const other = convert(moved, { from: "f32", to: "f16", measure: true });
    moved.buffer.transfer();
    await expect(other).rejects.toMatchObject({ code: "memory/disposed" });
  });
});

describe("convert: refusals", () => {
  const x = new Float32Array(8);
  const refused: [string, () => Promise<unknown>, string][] = [
    [
      "a dtype that is none",
      () => convert(x, { from: "f64" as never, to: "f32" }),
      "memory/invalid-option",
    ],
    [
      "a preset that is none",
      () => convert(x, { from: "f32", to: "f16", preset: "fast" as never }),
      "memory/invalid-option",
    ],
    [
      "threads that are no count",
      () => convert(x, { from: "f32", to: "f16", threads: 1.5 }),
      "memory/invalid-option",
    ],
    [
      "a scale between floats",
      () => convert(x, { from: "f32", to: "f16", scale: 2 }),
      "memory/invalid-option",
    ],
    [
      "a scale of 0",
      () => convert(x, { from: "f32", to: "i8", scale: 0 }),
      "memory/invalid-option",
    ],
    [
      "a scale that is 0 as f32",
      () => convert(x, { from: "f32", to: "i8", scale: 1e-60 }),
      "memory/invalid-option",
    ],
    [
      "a zero point that is no u8",
      () => convert(x, { from: "f32", to: "u8", zeroPoint: -1 }),
      "memory/invalid-option",
    ],
    [
      "a zero point of i32",
      () => convert(x, { from: "f32", to: "i32", zeroPoint: 1 }),
      "memory/invalid-option",
    ],
    [
      "bits of another size",
      () => convert(x, { from: "f32", to: "f16", reinterpret: true }),
      "memory/invalid-option",
    ],
    [
      "half an element",
      () => convert(new Uint8Array(6), { from: "f32", to: "f16" }),
      "memory/wrong-size",
    ],
    [
      "more elements than there are",
      () => convert(x, { from: "f32", to: "f16", count: 9 }),
      "memory/wrong-size",
    ],
    [
      "a target that is too small",
      () => convert(x, { from: "f32", to: "i8", into: new Uint8Array(7) }),
      "memory/wrong-size",
    ],
    [
      "a target between two elements",
      () => convert(x, { from: "f32", to: "f16", into: new Uint8Array(32).subarray(1) }),
      "memory/misaligned",
    ],
    [
      "a target within the source",
      () => convert(x, { from: "f32", to: "f16", into: x.subarray(1) }),
      "memory/overlap",
    ],
    [
      "a source within the target",
      () => convert(x.subarray(2), { from: "f32", to: "f32", into: x }),
      "memory/overlap",
    ],
  ];
  for (const [what, call, code] of refused) {
    test(what, async () => {
      await expect(call()).rejects.toMatchObject({ name: "BitNetError", code });
    });
  }
});
