/** Programs of tensors are compiled again when they were reclaimed. */
import { expect, test } from "bun:test";
import { reclaimers } from "../../src/memory/index.ts";
import { tensor } from "../../src/tensor/index.ts";

test("Programs that were reclaimed are made anew, with the same results", () => {
  const compute = (): unknown =>
    tensor([1, 2, 3])
      .mul(tensor([4, 5, 6]))
      .add(7)
      .sub(tensor([[1], [2]]))
      .toArray();
  const want = compute();
  const programs = () => reclaimers.items().filter(({ name }) => name.endsWith("of tensors"));
  expect(programs().length).toBe(1);
  const stale = programs()[0]!;
  expect(stale.reclaim()).toBe(stale.bytes!);
  expect(programs()).toEqual([]);
  expect(stale.reclaim()).toBe(0);
  expect(compute()).toEqual(want);
  expect(programs().length).toBe(1);
});
