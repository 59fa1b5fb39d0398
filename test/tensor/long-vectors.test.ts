/** Reductions of vectors so long that they are made of parts. */
import { describe, expect, test } from "bun:test";
import { full, tensor } from "../../src/tensor/index.ts";

const count = 300_001;

/** Numbers with many equals, in no order. */
function numbers(): Float32Array {
  return Float32Array.from({ length: count }, (_, index) => (index * 7919) % 90_001);
}

describe("vectors of several parts", () => {
  test("argmax and argmin give the first of equals, in parts and in what is left over", () => {
    const data = numbers();
    const find = (value: number) => data.indexOf(value);
    expect(tensor(data).argmax().item()).toBe(find(90_000));
    expect(tensor(data).argmin().item()).toBe(0);
    for (const place of [0, 70_000, 131_072, 262_143, 262_144, count - 1]) {
      data[place] = 1e6;
      expect(tensor(data).argmax().item()).toBe(find(1e6));
      data[place] = -1e6;
      expect(tensor(data).argmin().item()).toBe(find(-1e6));
      data[place] = Number.NaN;
      expect(tensor(data).argmax().item()).toBe(place);
      expect(
        tensor(data, { shape: [1, count] })
          .argmin(1)
          .data()[0],
      ).toBe(place);
      data[place] = 5;
    }
    const whole = tensor(Int32Array.from(data));
    expect(whole.argmax().item()).toBe(find(90_000));
  });

  test("results that go past the caches are whole, from one instruction, a function and a chain", () => {
    const data = Float32Array.from({ length: 4_200_007 }, (_, index) => index % 1009);
    const x = tensor(data);
    const expectEach = (got: ArrayLike<number | bigint>, of: (value: number) => number) => {
      let wrong = 0;
      for (let i = 0; i < data.length; i += 1) if (got[i] !== of(data[i]!)) wrong += 1;
      expect(wrong).toBe(0);
    };
    expectEach(x.add(x).data(), (value) => 2 * value);
    expectEach(x.neg().data(), (value) => -value);
    expectEach(x.mul(2).add(1).data(), (value) => 2 * value + 1);
  });

  test("running sums are those of f64, rounded, and integers wrap", () => {
    const data = numbers();
    let sum = 0;
    const want = data.map((value) => {
      sum += value;
      return sum;
    });
    expect(tensor(data).cumsum(0).data()).toEqual(want);
    const wrapped = full([count], 2 ** 20, { dtype: "i32" })
      .cumsum(0)
      .data();
    expect(wrapped[4095]).toBe(0);
    expect(wrapped[count - 1]).toBe((count * 2 ** 20) | 0);
  });

  test("sums over rows and over columns of the same numbers agree, those of views to the bit", () => {
    const x = tensor(numbers().subarray(0, 300_000), { shape: [300, 1000] }).mul(0.1);
    const rows = x.sum({ axes: 1 }).data();
    const turned = x.transpose().clone().transpose().sum({ axes: 1 }).data();
    expect(turned.length).toBe(300);
    for (const [index, value] of rows.entries()) {
      expect(Math.abs(turned[index]! / value - 1)).toBeLessThan(1e-6);
    }
    const reversed = x.at(":", "::-1").at(":", "::-1").sum({ axes: 1 }).data();
    expect(reversed).toEqual(rows);
  });
});
