/**
 * Wrong use is an error with a code, whatever it is used with: every method and function on what
 * was disposed of, and each way in which shapes, dtypes, axes and indices can be wrong.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { BitNetError, type ErrorCode } from "../../src/errors/index.ts";
import {
  bitLinear,
  concat,
  crossEntropy,
  customGradient,
  type DType,
  einsum,
  gated,
  gather,
  grad,
  layerNorm,
  linspace,
  ones,
  pad,
  repeat,
  rmsNorm,
  roll,
  rope,
  scatter,
  split,
  stack,
  type Tensor,
  take,
  tensor,
  tensordot,
  tile,
  topk,
  uniform,
  zeros,
} from "../../src/tensor/index.ts";
import { folder, functions, methods } from "./every-call.ts";
import { throwsCode } from "./throws-code.ts";

const small = (): Tensor => ones([2, 3]);

function disposed(): Tensor {
  const x = small();
  x[Symbol.dispose]();
  return x;
}

/** The code of what a call throws, at once or in the promise that it gives. */
async function codeOf(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    return error instanceof BitNetError ? error.code : `${error}`;
  }
  return "nothing";
}

afterAll(() => rmSync(folder, { recursive: true }));

describe("after its release a tensor is refused", () => {
  test("by each of its methods, as this and as the other operand", async () => {
    for (const [name, call] of Object.entries(methods)) {
      expect([name, await codeOf(() => call(small(), small()))]).toEqual([name, "nothing"]);
      expect([name, await codeOf(() => call(disposed(), small()))]).toEqual([
        name,
        "tensor/disposed",
      ]);
      if (call.length < 2) continue;
      expect([name, await codeOf(() => call(small(), disposed()))]).toEqual([
        name,
        "tensor/disposed",
      ]);
    }
  });

  test("by each function", async () => {
    for (const [name, call] of Object.entries(functions)) {
      expect([name, await codeOf(() => call(small()))]).toEqual([name, "nothing"]);
      expect([name, await codeOf(() => call(disposed()))]).toEqual([name, "tensor/disposed"]);
    }
  });

  test("and so are its views", () => {
    const x = small();
    const view = x.at(0);
    x[Symbol.dispose]();
    throwsCode("tensor/disposed", () => view.data());
    x[Symbol.dispose]();
  });
});

type Refusals = Record<string, (x: Tensor) => unknown>;

/** What of x (2, 3) is refused with which code. */
const refusals: Partial<Record<ErrorCode, Refusals>> = {
  "tensor/shape-mismatch": {
    "operands that do not broadcast": (x) => x.add(ones([2, 4])),
    "a larger source": (x) => x.assign(ones([2, 2, 3])),
    "in place, a larger result": (x) => x.at(0).add_(x),
    "a condition that does not broadcast": (x) => x.where(ones([4]), 0),
    "inner axes of a product": (x) => x.matmul(x),
    "a product with a number's shape": (x) => x.matmul(tensor(1)),
    "another number of elements": (x) => x.reshape(4),
    "two open extents": (x) => x.reshape(-1, -1),
    "an open extent that does not divide": (x) => x.reshape(-1, 4),
    "growing an extent that is not 1": (x) => x.expand(4, 3),
    "squeezing more than one element": (x) => x.squeeze(0),
    "joined extents": (x) => concat([x, ones([2, 4])]),
    "joined ranks": (x) => concat([x, ones([3])]),
    "nothing to join": () => concat([]),
    "stacked shapes": (x) => stack([x, x.transpose()]),
    "parts that do not divide": (x) => split(x, 2, 1),
    "parts that do not add up": (x) => split(x, [1, 1], 1),
    "an index of another rank": (x) => gather(x, 0, tensor(new Int32Array(1))),
    "a source that does not fit its index": (x) =>
      scatter(x, { axis: 0, index: tensor(new Int32Array(1), { shape: [1, 1] }), source: x }),
    "lists of unequal lengths": () => tensor([[1], [2, 3]]),
    "elements that do not fill a shape": () => tensor([1, 2, 3], { shape: [2] }),
    "gammas of another length": (x) => rmsNorm(x, ones([2])),
    "betas of another length": (x) => layerNorm(x, { beta: ones([2]) }),
    "an odd width of gates": (x) => gated(x),
    "an odd width of positions": (x) => rope(x, tensor(new Int32Array(2))),
    "targets of another shape": (x) => crossEntropy(x, tensor(new Int32Array(3))),
    "weights of another width": (x) => bitLinear(x, ones([4, 2])),
    "axes of unequal extents": (x) => tensordot(x, x, 1),
    "a rule's gradient of another shape": (x) =>
      grad((given) =>
        customGradient(given.mul(2), { inputs: [given], rule: () => [ones([5])] }).sum(),
      )(x),
    "an extreme of nothing": () => zeros([0]).argmax(),
  },
  "tensor/needs-copy": {
    "a view across a transpose": (x) => x.transpose().view(6),
    "an array of JavaScript's in place": () => tensor(Float32Array.of(1), { copy: false }),
  },
  "tensor/bad-shape": {
    "an extent below 0": () => zeros([-1]),
    "an extent with a fraction": () => zeros([1.5]),
    "more than six dimensions": () => zeros([1, 1, 1, 1, 1, 1, 1]),
    "padding below 0": (x) => pad(x, -1),
    "padding for other axes": (x) => pad(x, [[1, 1]]),
    "repeating less than never": (x) => repeat(x, -1, 0),
    "tiling less than never": (x) => tile(x, [-1]),
    "a negative count of points": () => linspace(0, 1, { count: -1 }),
    "ternary weights of a vector": () => ones([3]).to("ternary"),
  },
  "tensor/axis-out-of-range": {
    "an axis behind the last": (x) => x.sum({ axes: 2 }),
    "an axis before the first": (x) => x.cumsum(-3),
    "an axis with a fraction": (x) => x.softmax(0.5),
    "an axis twice": (x) => x.sum({ axes: [0, -2] }),
    "an order without all axes": (x) => x.permute(0),
    "an order with an axis twice": (x) => x.permute(0, 0),
    "transposing what is not there": (x) => x.transpose(0, 2),
    "a new axis too far": (x) => x.unsqueeze(4),
    "flipping and joining there": (x) => stack([x, x], 4),
  },
  "tensor/index-out-of-range": {
    "an index behind the last": (x) => x.at(2),
    "an index before the first": (x) => x.at(-3),
    "an index with a fraction": (x) => x.at(0.5),
    "a list with such an index": (x) => x.at([0, 2]),
    "taking it": (x) => take(x, [3], 1),
    "more of the top than there are": (x) => topk(x, 4),
  },
  "tensor/bad-index": {
    "more indices than axes": (x) => x.at(0, 0, 0),
    "two ellipses": (x) => x.at("...", "..."),
    "no range": (x) => x.at("a:b"),
    "a step of 0": (x) => x.at("::0"),
    "a mask of another shape": (x) => x.at(ones([3]).gt(0)),
    "rolling by half a place": (x) => roll(x, 0.5),
  },
  "tensor/bad-dtype": {
    "an index of floats": (x) => x.at(tensor([0.5])),
    "taking by bools": (x) => take(x, tensor([true])),
    "floats into integers in place": () => ones([2], { dtype: "i32" }).add_(0.5),
    "numbers into bools in place": () => tensor([true]).add_(1),
    "writing to packed elements": (x) => x.to("i4").add_(1),
    "a gradient of integers": () => grad((x) => x.sum())(ones([2], { dtype: "i8" })),
    "a typed array that no tensor has": () => tensor(new BigInt64Array(1) as never),
    "a dtype that is none": (x) => x.to("f8" as DType),
    "making one of it": () => zeros([1], { dtype: "int" as DType }),
  },
  "tensor/not-a-scalar": {
    "one element of six": (x) => x.item(),
    "a gradient of six": (x) => grad((given) => given)(x),
  },
  "tensor/bad-subscripts": {
    "labels that do not suit the rank": (x) => einsum("i->i", x),
    "a label from nowhere": (x) => einsum("ij->k", x),
  },
  "tensor/bad-seed": { "a seed below 0": () => uniform([1], { seed: -1 }) },
};

describe("is refused", () => {
  for (const [code, cases] of Object.entries(refusals)) {
    for (const [what, call] of Object.entries(cases)) {
      test(`${what}: ${code}`, () => {
        expect(throwsCode(code as ErrorCode, () => call(small()))).not.toBe("");
      });
    }
  }

  test("an index in a tensor that is out of range, when the result is read", () => {
    throwsCode("native/run-failed", () => take(small(), tensor(Int32Array.of(7))).data());
  });

  test("naming both shapes", () => {
    for (const call of [
      (x: Tensor) => x.add(ones([2, 4])),
      (x: Tensor) => x.matmul(ones([2, 4])),
      (x: Tensor) => x.assign(ones([2, 4])),
      (x: Tensor) => concat([x, ones([2, 4])]),
      (x: Tensor) => bitLinear(x, ones([2, 4])),
    ]) {
      const message = throwsCode("tensor/shape-mismatch", () => call(small()));
      expect(message).toContain("(2, 3)");
      expect(message).toContain("(2, 4)");
    }
  });
});
