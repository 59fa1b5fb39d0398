/** Compiled functions give what they give uncompiled, and are recorded once a shape. */
import { describe, expect, test } from "bun:test";
import { compile, grad, linspace, ones, type Tensor, tensor } from "../../src/tensor/index.ts";
import { throwsCode } from "./throws-code.ts";

describe("compile", () => {
  test("records once for each combination of shapes and dtypes", () => {
    let calls = 0;
    const of = compile((x, z) => {
      calls += 1;
      return x.mul(z).add(1);
    });
    for (const number of [1, 2, 3]) {
      expect(of(tensor([number, 2]), tensor([10, 20])).toArray()).toEqual([10 * number + 1, 41]);
    }
    expect(calls).toBe(1);
    expect(of(tensor([1]), tensor([2])).toArray()).toEqual([3]);
    expect(of(tensor([1], { dtype: "f64" }), tensor([2])).dtype).toBe("f64");
    expect(calls).toBe(3);
  });

  test("takes views, and inputs that are not computed yet", () => {
    const of = compile((x) => x.sum({ axes: 0 }));
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(of(x.transpose()).toArray()).toEqual([6, 15]);
    expect(of(x.add(1).at(":", "1:")).toArray()).toEqual([9, 11]);
    expect(of(x.at("1:")).toArray()).toEqual([4, 5, 6]);
  });

  test("gives several results, inputs and one value twice among them", () => {
    const of = compile((x) => {
      const y = x.mul(2);
      return [y, x, y, y.at(0)];
    });
    const made = of(tensor([1, 2])).map((one) => one.toArray());
    expect(made).toEqual([[2, 4], [1, 2], [2, 4], 2]);
  });

  test("holds gradients, and more instructions than a trace", () => {
    const loss = (x: Tensor): Tensor => {
      let y = x;
      for (let step = 0; step < 300; step += 1) y = y.mul(1.001);
      return y.pow(2).sum();
    };
    const step = compile((x) => grad(loss)(x));
    const [got] = step(ones([3]));
    const [want] = grad(loss)(ones([3]));
    expect(got!.toArray()).toEqual(want!.toArray());
    expect(Number(got!.at(0).item())).toBeCloseTo(2 * 1.001 ** 600, 3);
  });

  test("refuses a function that reads elements, and goes on afterwards", () => {
    const bad = compile((x) => x.mul(Number(x.add(1).item())));
    throwsCode("tensor/read-while-compiling", () => bad(tensor([1])));
    expect(tensor([1]).add(1).toArray()).toEqual([2]);
  });

  test("reads what was written in place to a tensor it met while recording", () => {
    const offset = tensor([1]);
    const shifted = compile((x) => x.add(offset));
    expect(shifted(tensor([1])).toArray()).toEqual([2]);
    offset.assign(5);
    expect(shifted(tensor([1])).toArray()).toEqual([6]);
  });
});

describe("a compiled function's Program", () => {
  test("has no instruction for what is made of numbers and constants alone", () => {
    const of = compile((x) => {
      const weights = linspace(0, 1, { count: 4 }).mul(Math.PI).sin().add(0.5);
      return x.mul(weights).sum({ axes: 1 });
    });
    const x = ones([3, 4]);
    const want = linspace(0, 1, { count: 4 }).mul(Math.PI).sin().add(0.5).sum();
    expect(of(x).at(0).item()).toBe(want.item());
    expect(of(x).at(2).item()).toBe(want.item());
    const [program] = of.programs;
    expect(program!.inputs).toEqual(["f32(3, 4)"]);
    expect(program!.explain().split("\n")).toEqual([
      "   0  1 %0:f32(3, 4) = mul(input 0:f32(3, 4), made 0:f32(3, 4))",
      "   1  1 result 0:f32(3) = reduce_sum(%0:f32(3, 4))",
      expect.stringMatching(/^memory: arena 64 B for values of 64 B, constants .* outputs 12 B$/),
    ]);
  });

  test("keeps its constants when tensors that leave the function are written to", () => {
    let kept: Tensor | undefined;
    const of = compile((x) => {
      kept ??= ones([2]);
      return x.add(kept.mul(2)).mul(kept);
    });
    expect(of(tensor([1, 2])).toArray()).toEqual([3, 4]);
    kept!.add_(10);
    expect(kept!.toArray()).toEqual([11, 11]);
    expect(of(tensor([1, 2])).toArray()).toEqual([3, 4]);
  });

  test("sees what is written to tensors that were there before", () => {
    const scale = tensor([1, 10]);
    const of = compile((x) => x.mul(scale.add(1)));
    expect(of(ones([2])).toArray()).toEqual([2, 11]);
    scale.add_(1);
    expect(of(ones([2])).toArray()).toEqual([3, 12]);
  });

  test("may give results that are constants", () => {
    const of = compile((x) => [ones([2]).mul(3), x.add(ones([2]).mul(3))]);
    for (let time = 0; time < 2; time += 1) {
      expect(of(tensor([1, 2])).map((one) => one.toArray())).toEqual([
        [3, 3],
        [4, 5],
      ]);
    }
  });
});
