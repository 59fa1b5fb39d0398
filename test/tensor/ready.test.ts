/** `ready`: tensors are computed while the event loop goes on, and are what they are otherwise. */
import { describe, expect, test } from "bun:test";
import { BitNetError } from "../../src/errors/index.ts";
import * as linalg from "../../src/linalg/index.ts";
import { grad, randn, type Tensor, tensor } from "../../src/tensor/index.ts";

/** Takes tens of milliseconds. */
const slow = (seed: number): Tensor => {
  const a = randn([220, 220], { seed });
  return linalg.svd(a).u.matmul(a);
};

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof BitNetError) return error.code;
    throw error;
  }
  return "no error";
}

describe("ready", () => {
  test("lets the event loop go on, and gives what reading gives", async () => {
    const want = slow(1).toArray();
    const x = slow(1);
    let ticks = 0;
    const timer = setInterval(() => {
      ticks += 1;
    }, 1);
    expect(await x.ready()).toBe(x);
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(1);
    expect(x.toArray()).toEqual(want);
  });

  test("of a computed tensor, twice, or of several at once is sound", async () => {
    const one = tensor([1, 2]).mul(2);
    await one.ready();
    await one.ready();
    const [a, b, c] = [slow(2), slow(3), tensor([1]).add(1)];
    await Promise.all([a.ready(), b.ready(), a.ready(), c.ready()]);
    expect([a.toArray(), b.toArray()]).toEqual([slow(2).toArray(), slow(3).toArray()]);
    expect([one.toArray(), c.toArray()]).toEqual([[2, 4], [2]]);
  });

  test("whoever reads what is under way waits for it, and sees it only then", async () => {
    const want = slow(7).toArray();
    const first = slow(7);
    const firstDone = first.ready();
    expect(first.toArray()).toEqual(want);
    await firstDone;
    const x = slow(4);
    const done = x.ready();
    expect(Bun.inspect(x)).toContain("not computed yet");
    const sum = x.sum();
    expect(sum.item()).toBe(slow(4).sum().item());
    expect(x.at(0, 0).item()).toBe(slow(4).at(0, 0).item());
    await done;
    expect(x.sum().item()).toBe(sum.item());
  });

  test("what is recorded meanwhile, written meanwhile or disposed of meanwhile counts", async () => {
    const a = randn([220, 220], { seed: 5 });
    const want = linalg.svd(a).s.toArray() as number[];
    const s = linalg.svd(a).s;
    const gone = slow(6);
    const done = s.ready();
    const doubled = s.mul(2);
    a.mul_(0);
    gone[Symbol.dispose]();
    expect(a.abs().max().item()).toBe(0);
    await done;
    expect(s.toArray()).toEqual(want);
    expect(doubled.toArray()).toEqual(want.map((value) => Math.fround(2 * value)));
    expect(grad((x) => x.mul(s).sum())(s)[0]!.toArray()).toEqual(want);
  });

  test("rejects with what reading throws, and so does what was recorded of it meanwhile", async () => {
    const singular = tensor([
      [1, 2],
      [2, 4],
    ]);
    const x = linalg.inverse(singular);
    const done = x.ready();
    const after = x.add(1);
    const other = tensor([1]).add(1);
    expect(await codeOf(done)).toBe("linalg/singular");
    expect(await codeOf(after.ready())).toBe("linalg/singular");
    expect(() => after.data()).toThrow(BitNetError);
    expect(other.toArray()).toEqual([2]);
    // Beside what fails, what does not is there.
    const good = tensor([3]).mul(2);
    expect(await codeOf(linalg.inverse(singular).ready())).toBe("linalg/singular");
    await good.ready();
    expect(good.toArray()).toEqual([6]);
  });
});
