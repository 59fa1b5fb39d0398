/** When things are computed, what is kept, and what writing does to what was asked for before. */
import { describe, expect, test } from "bun:test";
import { memoryMetrics } from "../../src/native/index.ts";
import { compile, ones, type Tensor, take, tensor, zeros } from "../../src/tensor/index.ts";
import { throwsCode } from "./throws-code.ts";

describe("pending tensors", () => {
  test("nothing is computed before it is read, and showing a tensor reads nothing", () => {
    const x = tensor([1, 2]).add(1);
    expect(Bun.inspect(x)).toContain("not computed yet");
    expect(x.toArray()).toEqual([2, 3]);
    expect(Bun.inspect(x)).toContain("[2., 3.]");
  });

  test("numbers are data: other numbers give other results by the same Program", () => {
    const x = tensor([1, 2, 3]);
    for (let number = 0; number < 5; number += 1) {
      expect(x.mul(number).add(-number).toArray()).toEqual([0, number, 2 * number]);
    }
  });

  test("traces that differ only in the dtype they make do not share a Program", () => {
    const x = tensor([1.5, 2.5]);
    expect(x.to("i32").toArray()).toEqual([2, 2]);
    expect(x.to("f16").toArray()).toEqual([1.5, 2.5]);
    expect(x.to("f64").toArray()).toEqual([1.5, 2.5]);
    expect(x.to("bool").toArray()).toEqual([true, true]);
  });

  test("what was only read on the way is there when it is asked for later", () => {
    const x = tensor([1, 2, 3]);
    const middle = x.mul(2);
    expect(middle.add(1).toArray()).toEqual([3, 5, 7]);
    expect(middle.sub(1).toArray()).toEqual([1, 3, 5]);
    expect(middle.toArray()).toEqual([2, 4, 6]);
  });

  test("a chain longer than a trace keeps its meaning", () => {
    let x: Tensor = zeros([3]);
    const seen: Tensor[] = [];
    for (let step = 0; step < 1000; step += 1) {
      x = x.add(1);
      if (step % 100 === 0) seen.push(x);
    }
    expect(x.toArray()).toEqual([1000, 1000, 1000]);
    expect(seen.map((one) => one.at(0).item())).toEqual(
      Array.from({ length: 10 }, (_, index) => index * 100 + 1),
    );
  });

  test("writing changes the tensor and its views, and nothing asked for before", () => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ]);
    const view = x.at(":", 1);
    const before = x.add(10);
    const middle = x.mul(2);
    const read = middle.add(1).toArray();
    view.assign(tensor([20, 40]));
    expect(x.toArray()).toEqual([
      [1, 20],
      [3, 40],
    ]);
    expect(view.toArray()).toEqual([20, 40]);
    expect(before.toArray()).toEqual([
      [11, 12],
      [13, 14],
    ]);
    expect(middle.toArray()).toEqual([
      [2, 4],
      [6, 8],
    ]);
    expect(read).toEqual([
      [3, 5],
      [7, 9],
    ]);
  });

  test("a tensor written with its own mirror image reads all before it writes", () => {
    const x = tensor([1, 2, 3, 4]);
    x.assign(x.at("::-1"));
    expect(x.toArray()).toEqual([4, 3, 2, 1]);
    x.at("1:").assign(x.at(":3"));
    expect(x.toArray()).toEqual([4, 4, 3, 2]);
  });

  test("whoever reads a tensor after a write into it failed hears why", () => {
    const x = ones([2]);
    const y = ones([2]);
    const wrong = take(tensor([1, 2]), tensor([0, 9], { dtype: "i32" }));
    y.assign(5);
    x.assign(wrong);
    const after = x.add(1);
    // What else was asked for is there all the same.
    expect(y.toArray()).toEqual([5, 5]);
    expect(() => after.data()).toThrow("row out of range");
    expect(() => x.data()).toThrow("was written to in place, and that failed");
    expect(() => x.at(0).item()).toThrow("row out of range (9)");
    throwsCode("native/run-failed", () => x.add(1));
    throwsCode("native/run-failed", () => x.assign(1));
    expect(Bun.inspect(x)).toContain("not computed yet");
    expect(y.add(1).toArray()).toEqual([6, 6]);
  });

  test("a compiled function that fails in a write into its input marks it", () => {
    const x = ones([2]);
    const write = compile((to, index) => to.assign(take(to.add(1), index)).add(0));
    expect(write(x, tensor([1, 0], { dtype: "i32" })).toArray()).toEqual([2, 2]);
    throwsCode("native/run-failed", () => write(x, tensor([1, 7], { dtype: "i32" })));
    throwsCode("native/run-failed", () => x.data());
  });

  test("a released tensor cannot be used, and releasing twice is harmless", () => {
    const x = tensor([1]);
    x[Symbol.dispose]();
    x[Symbol.dispose]();
    throwsCode("tensor/disposed", () => x.add(1));
    expect(Bun.inspect(x)).toBe("tensor(disposed)");
  });

  test("memory of a released tensor goes back at once, with its views, not under what needs it", () => {
    const before = memoryMetrics().used;
    const large = ones([1 << 18]);
    const view = large.at("1:");
    const sum = large.sum();
    large[Symbol.dispose]();
    expect(memoryMetrics().used - before).toBeLessThan(1 << 18);
    throwsCode("tensor/disposed", () => view.add(1));
    expect(sum.item()).toBe(1 << 18);
    const base = ones([1 << 18]);
    const middle = base.add(1);
    expect(middle.sum().item()).toBe(2 << 18);
    base[Symbol.dispose]();
    expect(middle.at(7).item()).toBe(2);
  });

  test("shapes that do not broadcast are refused with both", () => {
    expect(() => ones([2, 3]).add(ones([4, 3]))).toThrow("shapes (2, 3) and (4, 3)");
    throwsCode("tensor/shape-mismatch", () => ones([2]).assign(ones([3])));
    throwsCode("tensor/shape-mismatch", () => ones([2]).assign(ones([2, 2])));
    throwsCode("tensor/not-a-scalar", () => ones([2]).item());
    throwsCode("tensor/shape-mismatch", () => tensor([[1, 2], [3]]));
  });

  test("results nobody keeps leave memory flat within one synchronous loop", () => {
    const x = ones([64, 64]);
    for (let step = 0; step < 2000; step += 1) x.add(step).mul(2);
    x.add(1).data();
    const before = memoryMetrics().used;
    for (let step = 0; step < 20_000; step += 1) x.add(step).mul(2);
    x.add(1).data();
    // 20,000 results of 16 KiB are 320 MB.
    expect(memoryMetrics().used - before).toBeLessThan(96 << 20);
  });
});
