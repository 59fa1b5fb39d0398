/** Ranges against their formulas; random numbers by their seeds, moments and bits. */
import { describe, expect, test } from "bun:test";
import { memoryMetrics } from "../../src/native/index.ts";
import {
  arange,
  eye,
  linspace,
  randn,
  type Tensor,
  tensor,
  uniform,
} from "../../src/tensor/index.ts";
import { plain } from "./plain.ts";
import { throwsCode } from "./throws-code.ts";

describe("typed arrays", () => {
  test("over native memory are read where they lie, until the tensor is written to", () => {
    const x = tensor(Float32Array.from({ length: 1000 }, (_, index) => index));
    const part = x.data().subarray(3, 23) as Float32Array;
    const before = memoryMetrics().used;
    const y = tensor(part, { shape: [4, 5], copy: false });
    expect(memoryMetrics().used).toBe(before);
    part[1] = -7;
    expect(y.at(0).toArray()).toEqual([3, -7, 5, 6, 7]);
    expect(y.add(1).at(0, 1).item()).toBe(-6);
    y.mul_(2);
    expect([y.at(0, 1).item(), x.at(4).item()]).toEqual([-14, -7]);
    y[Symbol.dispose]();
    expect(x.at(3).item()).toBe(3);
  });

  test("of JavaScript are copied", () => {
    const list = Int8Array.of(1, 2);
    const x = tensor(list);
    list[0] = 9;
    expect(x.toArray()).toEqual([1, 2]);
    throwsCode("tensor/needs-copy", () => tensor(list, { copy: false }));
  });
});

describe("ranges", () => {
  test("arange steps from start to below stop, whole where its arguments are", () => {
    expect(plain(arange(4))).toEqual({ shape: [4], data: [0, 1, 2, 3] });
    expect(arange(4).dtype).toBe("i32");
    expect(plain(arange(5, 0, { step: -2 })).data).toEqual([5, 3, 1]);
    expect(plain(arange(3, 1)).data).toEqual([]);
    const tenths = arange(0, 1, { step: 0.1, dtype: "f64" });
    expect(plain(tenths).data).toEqual(Array.from({ length: 10 }, (_, at) => at * 0.1));
    expect(arange(0, 1, { step: 0.25 }).dtype).toBe("f32");
    expect(plain(arange(300, 0, { step: -100, dtype: "u8" })).data).toEqual([255, 200, 100]);
    expect(plain(arange(3, 5, { dtype: "bf16" })).data).toEqual([3, 4]);
  });

  test("linspace divides an interval, with its end or without", () => {
    expect(plain(linspace(0, 1, { count: 5 })).data).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(plain(linspace(0, 1, { count: 4, endpoint: false })).data).toEqual([0, 0.25, 0.5, 0.75]);
    expect(plain(linspace(2, 9, { count: 1 })).data).toEqual([2]);
    expect(linspace(0, 1).size).toBe(50);
    const x = linspace(0, 0.7, { count: 8, dtype: "f64" });
    expect(x.at(-1).item()).toBe(0.7);
  });

  test("eye has ones on a diagonal", () => {
    expect(eye(2).toArray()).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expect(plain(eye(2, { columns: 3, diagonal: 1, dtype: "i8" })).data).toEqual([
      0, 1, 0, 0, 0, 1,
    ]);
    expect(plain(eye(3, { columns: 2, diagonal: -1, dtype: "bf16" })).data).toEqual([
      0, 0, 1, 0, 0, 1,
    ]);
    expect(plain(eye(2, { diagonal: 5 })).data).toEqual([0, 0, 0, 0]);
  });

  test("what makes no range is refused", () => {
    throwsCode("tensor/bad-shape", () => arange(0, 1, { step: 0 }));
    throwsCode("tensor/bad-shape", () => arange(0, Infinity));
    throwsCode("tensor/bad-shape", () => linspace(0, 1, { count: -1 }));
    throwsCode("tensor/bad-shape", () => linspace(0, 1, { count: 1.5 }));
    throwsCode("tensor/bad-shape", () => eye(-1));
  });
});

describe("random numbers", () => {
  const bits = (x: Tensor) => Buffer.from(x.data().slice().buffer).toString("hex");

  test("seed and stream name the numbers, on every thread count and in any shape", () => {
    const make = (options: object) => randn([30, 1000], { seed: 5, ...options });
    const hash = new Bun.CryptoHasher("sha256").update(bits(make({}))).digest("hex");
    expect(bits(make({}))).toBe(bits(randn([30_000], { seed: 5n })));
    // Of this core, on every instruction-set level.
    expect(hash.slice(0, 16)).toBe("59949e2dbb77de3c");
    expect(bits(make({ stream: 1 }))).not.toBe(bits(make({})));
    expect(bits(make({ seed: 6 }))).not.toBe(bits(make({})));
    expect(bits(make({ seed: 5n + (1n << 40n) }))).not.toBe(bits(make({})));
    expect(bits(randn([10]))).not.toBe(bits(randn([10])));
  });

  test("a draw that is asked for twice gives the same numbers", () => {
    const x = uniform([100]);
    const first = x.add(1).toArray();
    expect(x.toArray()).toBeArrayOfSize(100);
    expect(x.add(1).toArray()).toEqual(first);
  });

  test("moments and bounds are those of the distributions", () => {
    for (const dtype of ["f32", "f64", "f16"] as const) {
      const normal = randn([40_000], { seed: 1, mean: 3, std: 2, dtype }).to("f64");
      // Standard errors are 0.01 and 0.007.
      expect(Math.abs(Number(normal.mean().item()) - 3)).toBeLessThan(0.04);
      expect(Math.abs(Number(normal.std().item()) - 2)).toBeLessThan(0.03);
      const flat = uniform([40_000], { seed: 1, low: -1, high: 3, dtype }).to("f64");
      expect(Math.abs(Number(flat.mean().item()) - 1)).toBeLessThan(0.03);
      expect(flat.min().item()).toBeGreaterThanOrEqual(-1);
      expect(flat.max().item()).toBeLessThanOrEqual(3);
    }
  });

  test("seeds and dtypes that cannot be are refused", () => {
    throwsCode("tensor/bad-seed", () => randn([1], { seed: -1 }));
    throwsCode("tensor/bad-seed", () => randn([1], { seed: 0.5 }));
    throwsCode("tensor/bad-seed", () => uniform([1], { stream: 1n << 64n }));
    throwsCode("tensor/bad-dtype", () => uniform([1], { dtype: "i32" }));
    throwsCode("tensor/bad-shape", () => uniform([-1]));
  });
});
