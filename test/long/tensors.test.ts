/** Tensors at lengths and counts that take a while: 10^8 elements, 10^6 operations. */
import { describe, expect, test } from "bun:test";
import { memoryMetrics, systemMemory } from "../../src/native/index.ts";
import { full, ones, tensor } from "../../src/tensor/index.ts";

const isLong = process.env.BITNET_LONG !== undefined;

describe.skipIf(!isLong)("many elements", () => {
  test.skipIf(systemMemory().available < 3e9)(
    "sums of 10^8 elements stay accurate",
    () => {
      using x = full([1e8], 0.1);
      const tenth = Math.fround(0.1);
      const near = (value: number | boolean, want: number) =>
        expect(Math.abs(Number(value) / want - 1)).toBeLessThan(2 ** -23);
      near(x.sum().item(), tenth * 1e8);
      near(x.mean().item(), tenth);
      near(x.reshape(10, 1e7).sum({ axes: 1 }).at(7).item(), tenth * 1e7);
      near(x.reshape(1e7, 10).sum({ axes: 0 }).at(3).item(), tenth * 1e7);
      using sums = x.cumsum(0);
      near(sums.at(-1).item(), tenth * 1e8);
    },
    120_000,
  );

  test("10^6 eager operations in one synchronous loop hold memory flat", () => {
    const x = ones([8, 8]);
    const loop = (count: number): number => {
      let most = 0;
      for (let step = 0; step < count; step += 1) {
        const y = x.add(step);
        // Some are read at once, some with others, most never.
        if (step % 64 === 0) y.at(0, 0).item();
        if (step % 4096 === 0) most = Math.max(most, memoryMetrics().used);
      }
      return most;
    };
    const before = loop(100_000);
    expect(loop(1_000_000)).toBeLessThan(before + (32 << 20));
  }, 120_000);

  test("10^4 results of 4 MB that nobody disposes of hold memory flat", () => {
    const x = ones([1e6]);
    let y = tensor([0]);
    let most = 0;
    for (let step = 0; step < 10_000; step += 1) {
      y = x.add(step);
      y.at(0).item();
      if (step % 100 === 0) most = Math.max(most, memoryMetrics().total);
    }
    expect(y.at(5).item()).toBe(10_000);
    expect(most).toBeLessThan(2 * 2 ** 30);
  }, 120_000);
});
