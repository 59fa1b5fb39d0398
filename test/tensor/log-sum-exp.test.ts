/** log(sum(exp(x))) at infinities, as SciPy defines it, and far from 0. */
import { expect, test } from "bun:test";
import { tensor } from "../../src/tensor/index.ts";

const inf = Number.POSITIVE_INFINITY;
/** Rows and what SciPy gives for them. */
const cases: readonly [row: number[], want: number][] = [
  [[-inf, -inf, -inf], -inf],
  [[inf, 1, 2], inf],
  [[inf, -inf, inf], inf],
  [[-inf, 3, -inf], 3],
  [[Number.NaN, inf, 0], Number.NaN],
  [[1000, 1000, 1000], 1000 + Math.log(3)],
  [[-1000, -1000, -1000], -1000 + Math.log(3)],
];

test("logSumExp of infinities is SciPy's, in rows, columns and whole", () => {
  const rows = tensor(
    cases.map(([row]) => row),
    { dtype: "f64" },
  );
  const columns = rows.transpose();
  for (const got of [rows.logSumExp({ axes: 1 }), columns.logSumExp({ axes: 0 })]) {
    for (const [index, [, want]] of cases.entries()) {
      const value = got.at(index).item();
      // A unit in the last place of 1000 is 1e-13.
      if (Number.isFinite(want)) expect(value).toBeCloseTo(want, 12);
      else expect(value).toBe(want);
    }
  }
  expect(tensor([-inf, -inf]).logSumExp().item()).toBe(-inf);
  expect(tensor([], { dtype: "f64" }).logSumExp().item()).toBe(-inf);
  expect(tensor([3, 3], { dtype: "i32" }).logSumExp().item()).toBe(Math.fround(3 + Math.log(2)));
});
