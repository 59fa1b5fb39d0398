/**
 * Gradients of the ops that models record, each against those of the same function made of tensors'
 * own operations.
 */
import { describe, expect, test } from "bun:test";
import type { OpName } from "../../src/native/index.ts";
import {
  bitLinear,
  concat,
  grad,
  randn,
  rmsNorm,
  Tensor,
  take,
  tensor,
} from "../../src/tensor/index.ts";
import { pending } from "../../src/tensor/pending.ts";

type Attrs = Record<string, number | boolean | string>;
type Inputs = readonly Tensor[];

/** The first output of an instruction as a tensor. */
function recorded(op: OpName, inputs: Inputs, attrs: Attrs = {}): Tensor {
  const values = inputs.map(({ stored }) => stored);
  return new Tensor(pending.apply(op, values, { attrs: attrs as never })[0]!);
}

interface Pair {
  inputs: () => Inputs;
  op: (inputs: Inputs) => Tensor;
  same: (inputs: Inputs) => Tensor;
}

const rows = (): Tensor => tensor(Int32Array.of(2, 0, 2, 1));
const x = (): Tensor => randn([3, 8], { seed: 1 });
const w = (): Tensor => randn([5, 8], { seed: 2 });
const up = (): Tensor => randn([3, 8], { seed: 6 });
const heads = (): Tensor => randn([3, 2, 8], { seed: 5 });
const angles = (): Tensor => randn([3, 4], { seed: 4 });

/** Halves of each head, turned by hand. */
function turned([given, c, s]: Inputs): Tensor {
  const [low, high] = [given!.at("...", ":4"), given!.at("...", "4:")];
  const [over, under] = [c!.unsqueeze(1), s!.unsqueeze(1)];
  return concat([low.mul(over).sub(high.mul(under)), high.mul(over).add(low.mul(under))], -1);
}

function gate(f: (gate: Tensor) => Tensor): (inputs: Inputs) => Tensor {
  return ([given, gated]) => f(given!).mul(gated!);
}

const pairs: Record<string, Pair> = {
  softmax: {
    inputs: () => [x()],
    op: (inputs) => recorded("softmax", inputs),
    same: ([given]) => given!.sub(given!.logSumExp({ axes: 1, keepDims: true })).exp(),
  },
  embedding: {
    inputs: () => [w()],
    op: ([table]) => recorded("embedding", [rows(), table!]),
    same: ([table]) => take(table!, rows()),
  },
  "embedding of a bf16 table": {
    inputs: () => [w().to("bf16")],
    op: ([table]) => recorded("embedding", [rows(), table!]),
    same: ([table]) => take(table!, rows()).to("f32"),
  },
  gather_rows: {
    inputs: () => [w()],
    op: ([table]) => recorded("gather_rows", [table!, rows()]),
    same: ([table]) => take(table!, rows()),
  },
  rms_norm: {
    inputs: () => [x(), w().at(0)],
    op: (inputs) => recorded("rms_norm", inputs, { eps: 0.01 }),
    same: ([given, gamma]) => {
      const square = given!.mul(given!).mean({ axes: 1, keepDims: true });
      return given!.div(square.add(0.01).sqrt()).mul(gamma!);
    },
  },
  dense_matmul: {
    inputs: () => [x(), w(), randn([5], { seed: 3 })],
    op: (inputs) => recorded("dense_matmul", inputs, { has_bias: 1 }),
    same: ([given, weights, added]) => given!.matmul(weights!.transpose()).add(added!),
  },
  rope: {
    inputs: () => [heads(), angles().cos(), angles().sin()],
    op: (inputs) => recorded("rope", inputs),
    same: turned,
  },
  "gated_activation, silu": {
    inputs: () => [x(), up()],
    op: (inputs) => recorded("gated_activation", inputs, { activation: "silu" }),
    same: gate((given) => given.silu()),
  },
  "gated_activation, relu2": {
    inputs: () => [x(), up()],
    op: (inputs) => recorded("gated_activation", inputs, { activation: "relu2" }),
    same: gate((given) => given.relu2()),
  },
};

/** Elements that differ by more than rounding. */
function differing(got: Tensor, want: Tensor): number {
  expect(got.shape).toEqual(want.shape);
  expect(got.dtype).toBe(want.dtype);
  const tolerance = want.dtype === "bf16" ? 1e-2 : 1e-5;
  const scale = Number(want.to("f32").abs().max().item()) || 1;
  return Number(
    got
      .sub(want)
      .to("f32")
      .abs()
      .gt(tolerance * scale)
      .sum()
      .item(),
  );
}

describe("gradients of ops that models record", () => {
  for (const [name, { inputs, op, same }] of Object.entries(pairs)) {
    test(`${name}: those of the same function of tensors`, () => {
      const given = inputs();
      const squared = (of: Pair["op"]) =>
        grad((...all) => {
          const y = of(all);
          return y.mul(y).add(y).sum();
        })(...given);
      const [got, want] = [squared(op), squared(same)];
      got.forEach((gradient, index) => {
        expect(differing(gradient, want[index]!)).toBe(0);
      });
    });
  }

  test("ternary_matmul sends a residual and a norm's gamma theirs, fused as recorded", () => {
    const [gamma, residual] = [randn([8], { seed: 7 }), randn([3, 5], { seed: 8 })];
    const [given, weights] = [x(), w()];
    const together = grad((...[a, b, scale, rest]) => {
      const y = bitLinear(rmsNorm(a!, scale!), b!).add(rest!);
      return y.mul(y).sum();
    })(given, weights, gamma, residual);
    // Step by step: what is read in between keeps instructions from becoming one.
    const normal = rmsNorm(given, gamma);
    normal.data();
    const product = bitLinear(normal, weights);
    product.data();
    const dy = product.add(residual).mul(2);
    const back = grad((a, b) => bitLinear(a, b).mul(dy).sum())(normal, weights);
    const first = grad((a, b) => rmsNorm(a, b).mul(back[0]!).sum())(given, gamma);
    const want = [first[0]!, back[1]!, first[1]!, dy];
    together.forEach((gradient, index) => {
      expect(differing(gradient, want[index]!)).toBe(0);
    });
  });
});
