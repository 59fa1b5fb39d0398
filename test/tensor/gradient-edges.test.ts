/** Gradients where derivatives jump or end, as torch defines them; and where many ways meet. */
import { describe, expect, test } from "bun:test";
import { gradientRules } from "../../src/graph/gradients/rules.ts";
import { Op } from "../../src/native/index.ts";
import {
  argsort,
  concat,
  customGradient,
  grad,
  pad,
  sort,
  type Tensor,
  tensor,
  topk,
  where,
} from "../../src/tensor/index.ts";

/** The gradients of the sum of a function of f64 vectors, each as a list. */
function gradientsOf(of: (...inputs: Tensor[]) => Tensor, ...lists: number[][]): unknown[] {
  const inputs = lists.map((list) => tensor(list, { dtype: "f64" }));
  return grad((...given) => of(...given).sum())(...inputs).map((one) => one.toArray());
}

describe("where a derivative jumps, as torch", () => {
  test("equal operands of maximum and minimum have half each", () => {
    const [a, b] = [
      [1, 2, 3],
      [2, 2, 2],
    ];
    expect(gradientsOf((x, z) => x.maximum(z), a!, b!)).toEqual([
      [0, 0.5, 1],
      [1, 0.5, 0],
    ]);
    expect(gradientsOf((x, z) => x.minimum(z), a!, b!)).toEqual([
      [1, 0.5, 0],
      [0, 0.5, 1],
    ]);
  });

  test("relu and relu2 have none at 0; clip has all of it on its bounds", () => {
    expect(gradientsOf((x) => x.relu(), [-1, 0, 1])).toEqual([[0, 0, 1]]);
    expect(gradientsOf((x) => x.relu2(), [-1, 0, 1])).toEqual([[0, 0, 2]]);
    const clipped = (x: Tensor): Tensor => x.clip({ min: -1, max: 1 });
    expect(gradientsOf(clipped, [-2, -1, 0, 1, 2])).toEqual([[0, 1, 1, 1, 0]]);
    const low = gradientsOf((x, least) => x.clip({ min: least }), [0, 1, 2], [1, 1, 1]);
    expect(low).toEqual([
      [0, 1, 1],
      [1, 0, 0],
    ]);
  });

  test("abs has none at 0, sqrt an infinite one", () => {
    expect(gradientsOf((x) => x.abs(), [-2, 0, 3])).toEqual([[-1, 0, 1]]);
    expect(gradientsOf((x) => x.sqrt(), [0, 4])).toEqual([[Infinity, 0.25]]);
  });

  test("powers of 0, and with the exponent 0", () => {
    expect(gradientsOf((x, z) => x.pow(z), [0, 0, 0, -2, 3], [0, 1, 2, 2, 0])).toEqual([
      [0, 1, 0, -4, 0],
      [0, 0, 0, NaN, Math.log(3)],
    ]);
    expect(gradientsOf((x) => x.pow(0), [0, 2])).toEqual([[0, 0]]);
    expect(gradientsOf((x) => x.pow(2), [0, 2])).toEqual([[0, 4]]);
    expect(gradientsOf((x) => x.pow(0.5), [0, 4])).toEqual([[Infinity, 0.25]]);
  });

  test("the largest of several equals share the gradient", () => {
    expect(gradientsOf((x) => x.max(), [1, 3, 3, 2])).toEqual([[0, 0.5, 0.5, 0]]);
    expect(gradientsOf((x) => x.min(), [1, 3, 1, 1])).toEqual([[1 / 3, 0, 1 / 3, 1 / 3]]);
  });

  test("a product with zeros has the product of the other factors", () => {
    expect(gradientsOf((x) => x.prod(), [2, 3, 4])).toEqual([[12, 8, 6]]);
    expect(gradientsOf((x) => x.prod(), [2, 0, 4])).toEqual([[0, 8, 0]]);
    expect(gradientsOf((x) => x.prod(), [2, 0, 0])).toEqual([[0, 0, 0]]);
    const rows = tensor([
      [2, 0],
      [3, 5],
    ]);
    const [first] = grad((x) => x.prod({ axes: 0 }).sum())(rows);
    expect(first!.toArray()).toEqual([
      [3, 5],
      [2, 0],
    ]);
  });

  test("the branch that where leaves out sends nothing back, not even what is no number", () => {
    const safe = (x: Tensor): Tensor => where(x.gt(0), x.log(), x);
    expect(gradientsOf(safe, [2, -3])).toEqual([[0.5, 1]]);
  });
});

describe("where ways meet", () => {
  test("sorted elements send theirs back to where they stood", () => {
    const weights = tensor([1, 10, 100, 1000], { dtype: "f64" });
    expect(gradientsOf((x) => sort(x).mul(weights), [3, 1, 2, 0])).toEqual([[1000, 10, 100, 1]]);
    const rows = (x: Tensor): Tensor => sort(x.reshape(2, 2), { descending: true }).at(":", 0);
    expect(gradientsOf(rows, [1, 2, 4, 3])).toEqual([[0, 1, 1, 0]]);
    const columns = (x: Tensor): Tensor => sort(x.reshape(2, 2), { axis: 0 }).at(0);
    expect(gradientsOf(columns, [5, 2, 4, 3])).toEqual([[0, 1, 1, 0]]);
    expect(gradientsOf((x) => topk(x, 2).values, [3, 1, 2, 0])).toEqual([[1, 0, 1, 0]]);
    expect(gradientsOf((x) => x.mul(argsort(x)), [3, 1, 2])).toEqual([[1, 2, 0]]);
  });

  test("half floats that are read twice have the sum, in their own dtype", () => {
    for (const dtype of ["f16", "bf16"] as const) {
      const x = tensor([[1, 2, 4]], { dtype });
      const loss = (given: Tensor): Tensor =>
        given.mul(3).sum().add(given.matmul(given.transpose()).sum()).to("f32");
      const [gradient] = grad(loss)(x);
      expect(gradient!.dtype).toBe(dtype);
      expect(gradient!.toArray()).toEqual([[5, 7, 11]]);
      const [joined] = grad((given) => concat([pad(given, 1), pad(given, 1)]).sum())(x);
      expect(joined!.toArray()).toEqual([[2, 2, 2]]);
    }
  });

  test("rounding to integers and back stops them, a rule of one's own goes on", () => {
    expect(gradientsOf((x) => x.to("i32").to("f64").mul(x), [1.5, 2.5])).toEqual([[2, 2]]);
    const through = (x: Tensor): Tensor =>
      customGradient(x.to("i8").to("f64"), { inputs: [x], rule: (gradient) => [gradient] });
    expect(gradientsOf((x) => through(x).mul(x), [1.5, 2.5])).toEqual([[3.5, 4.5]]);
  });
});

describe("the table of rules", () => {
  test("has for every op a rule or the reason why there is none", () => {
    expect(Object.keys(gradientRules).sort()).toEqual(Object.keys(Op).sort() as never);
    for (const rule of Object.values(gradientRules)) {
      if (typeof rule !== "function") expect(rule.reason).toMatch(/^[a-z].{20,}/);
    }
  });
});
