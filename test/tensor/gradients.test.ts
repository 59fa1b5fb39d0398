/** Gradients against torch's values and, op by op, against central differences in f64. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  concat,
  crossEntropy,
  customGradient,
  gated,
  gather,
  grad,
  layerNorm,
  type NestedArray,
  pad,
  randn,
  repeat,
  rmsNorm,
  roll,
  rope,
  scatterAdd,
  sort,
  stopGradient,
  type Tensor,
  take,
  tensor,
  topk,
  valueAndGrad,
} from "../../src/tensor/index.ts";
import { throwsCode } from "./throws-code.ts";

interface Reference {
  name: string;
  x: number[][];
  params: number[][];
  y: number[] | number[][];
  dy: NestedArray | null;
  dx: number[][] | null;
  dparams: number[][];
}

interface Loss {
  reduction: "mean" | "sum" | "none";
  ignore_index: number;
  x: number[][];
  target: number[];
  loss: NestedArray;
  dx: number[][];
}

interface Rope {
  theta: number;
  positions: number[];
  x: number[][];
  rotate_half: number[][];
  interleaved: number[][];
}

const path = join(import.meta.dir, "..", "fixtures", "units", "functions.json");
const {
  functions,
  losses,
  rope: ropes,
} = (await Bun.file(path).json()) as {
  functions: Reference[];
  losses: Loss[];
  rope: Rope[];
};

const named: Record<string, (x: Tensor, ...params: Tensor[]) => Tensor> = {
  relu: (x) => x.relu(),
  relu2: (x) => x.relu2(),
  silu: (x) => x.silu(),
  gelu_erf: (x) => x.gelu(),
  gelu_tanh: (x) => x.gelu("tanh"),
  sigmoid: (x) => x.sigmoid(),
  tanh: (x) => x.tanh(),
  exp: (x) => x.exp(),
  softmax_last: (x) => x.softmax(),
  softmax_last_extreme: (x) => x.softmax(),
  log_softmax_last: (x) => x.logSoftmax(),
  softmax_first: (x) => x.softmax(0),
  logsumexp_last: (x) => x.logSumExp({ axes: -1 }),
  softplus: (x) => x.softplus(),
  swiglu_halves: (x) => gated(x),
  "rms_norm_eps1e-5": (x, gamma) => rmsNorm(x, gamma!, { eps: 1e-5 }),
  "layer_norm_eps1e-5": (x, gamma, beta) => layerNorm(x, { gamma: gamma!, beta: beta! }),
  l2_normalize: (x) => x.div(x.norm({ axes: -1, keepDims: true })),
};

function flat(x: NestedArray): number[] {
  return ([x] as NestedArray[]).flat(7) as number[];
}

function expectNear(got: NestedArray, want: NestedArray, tolerance: number): void {
  const wanted = flat(want);
  flat(got).forEach((value, index) => {
    const scale = Math.max(1, Math.abs(wanted[index]!));
    expect(Math.abs(value - wanted[index]!) / scale).toBeLessThan(tolerance);
  });
}

for (const [dtype, tolerance] of [
  ["f64", 1e-10],
  ["f32", 1e-5],
] as const) {
  describe(`as torch, in ${dtype}`, () => {
    for (const { name, x, params, y, dy, dx, dparams } of functions) {
      const of = named[name]!;
      test(name, () => {
        const inputs = [x, ...params].map((values) => tensor(values as NestedArray, { dtype }));
        expectNear(of(inputs[0]!, ...inputs.slice(1)).toArray(), y, tolerance);
        if (dy === null || dx === null) return;
        const seed = tensor(dy, { dtype });
        const [first, ...others] = grad((...given) =>
          of(given[0]!, ...given.slice(1))
            .mul(seed)
            .sum(),
        )(...inputs);
        expectNear(first!.toArray(), dx, tolerance);
        for (const [index, other] of others.entries()) {
          expectNear(other.toArray(), dparams[index]!, tolerance);
        }
      });
    }
  });
}

describe("losses and rotary positions, as torch", () => {
  for (const { reduction, ignore_index: ignoreIndex, x, target, loss, dx } of losses) {
    test(`cross entropy, reduction ${reduction}`, () => {
      const classes = tensor(Int32Array.from(target));
      const of = (given: Tensor): Tensor =>
        crossEntropy(given, classes, { ignoreIndex, reduction });
      for (const [dtype, tolerance] of [
        ["f64", 1e-10],
        ["f32", 1e-5],
      ] as const) {
        const logits = tensor(x, { dtype });
        expectNear(of(logits).toArray(), loss, tolerance);
        const [gradient] = grad((given) => of(given).sum())(logits);
        expectNear(gradient!.toArray(), dx, tolerance);
      }
    });
  }

  for (const { theta, positions, x, ...want } of ropes) {
    test(`rope of ${x[0]!.length} columns, theta ${theta}`, () => {
      const rows = tensor(Int32Array.from(positions));
      const at = (interleaved: boolean) => rope(tensor(x), rows, { theta, interleaved });
      expectNear(at(false).toArray(), want.rotate_half, 1e-5);
      expectNear(at(true).toArray(), want.interleaved, 1e-5);
      // A rotation: turned back by the gradient, each row is itself.
      for (const interleaved of [false, true]) {
        const turned = rope(tensor(x), rows, { theta, interleaved });
        const [back] = grad((given) => rope(given, rows, { theta, interleaved }).mul(turned).sum())(
          tensor(x),
        );
        expectNear(back!.toArray(), x, 1e-5);
      }
    });
  }
});

/** Functions of x (3, 4) and z (3, 4), both between 0.3 and 0.9, that meet each rule. */
const cases: Record<string, (x: Tensor, z: Tensor) => Tensor> = {
  "add, sub, mul, div": (x, z) => x.add(z).mul(x.sub(z)).div(z.add(1)),
  "pow of a tensor": (x, z) => x.pow(z),
  "a row broadcast": (x, z) => x.mul(z.at(0)).add(z.at(":", "1:2")),
  "minimum, maximum": (x, z) => x.minimum(z).add(x.mul(2).maximum(z)),
  mod: (x, z) => x.mul(5).mod(z),
  "abs, neg": (x, z) => x.sub(z).abs().neg(),
  "exp, log, sqrt": (x, z) => x.exp().add(z.log()).mul(x.sqrt()),
  "sin, cos, tan": (x, z) => x.sin().add(z.cos()).mul(x.tan()),
  "asin, acos, atan": (x, z) => x.asin().add(z.acos()).mul(x.atan()),
  "tanh, erf, sigmoid": (x, z) => x.tanh().add(z.erf()).mul(x.sigmoid()),
  where: (x, z) => x.where(x.lt(z), z.mul(3)),
  clip: (x, z) => x.clip({ min: 0.4, max: 0.7 }).mul(z),
  "sum, mean, var over axes": (x, z) =>
    x
      .sum({ axes: 0 })
      .mul(z.mean({ axes: 0 }))
      .add(x.var({ axes: 1 }).mean()),
  "max, min, prod": (x, z) =>
    x
      .max({ axes: 1 })
      .mul(z.min({ axes: 1 }))
      .add(x.prod({ axes: 1 })),
  cumsum: (x, z) => x.cumsum(1).mul(z.cumsum(0)),
  matmul: (x, z) => x.matmul(z.transpose()).matmul(x),
  "matmul of vectors": (x, z) =>
    x
      .at(0)
      .matmul(z.at(1))
      .add(x.matmul(z.at(2)).sum()),
  "matmul of batches": (x, z) =>
    x.reshape(3, 2, 2).matmul(z.at(0).reshape(2, 2)).add(x.at(0).reshape(2, 2)),
  views: (x, z) => x.permute(1, 0).at("::-1", "1:").mul(z.reshape(4, 3).at(":", "::2")).squeeze(),
  "a view of a step twice": (x) => x.mul(2).at(0).mul(x.mul(2).at(":", 1).sum()),
  expand: (x, z) => x.unsqueeze(0).expand(2, 3, 4).mul(z).permute(2, 0, 1),
  "logSumExp over all": (x, z) => x.mul(z).logSumExp(),
  "norms of four orders": (x, z) =>
    x
      .norm({ axes: 0 })
      .add(z.norm({ order: 1 }))
      .mul(x.norm({ order: 3, axes: 0 }))
      .add(z.norm({ order: Infinity })),
  "softplus, gelu, silu": (x, z) => x.softplus().add(z.gelu()).mul(x.sub(z).silu()),
  "softmax, logSoftmax": (x, z) => x.softmax(0).mul(z.logSoftmax()),
  "sort, topk": (x, z) => sort(x).mul(z).add(topk(z, 1).values),
  "take, gather, scatterAdd": (x, z) => {
    const index = tensor(Int32Array.of(2, 0, 2, 1), { shape: [1, 4] });
    const added = scatterAdd(z, { axis: 0, index, source: x.at("1:2") });
    return take(x, [2, 0, 0])
      .mul(added)
      .add(gather(x, 0, index));
  },
  "concat, pad, roll, repeat": (x, z) =>
    concat([pad(x, 1, 2).at("1:4", ":4"), roll(z, 1, 1)]).mul(repeat(x, 2, 0)),
  "rmsNorm, layerNorm, gated": (x, z) =>
    rmsNorm(x, z.at(0))
      .mul(layerNorm(z, { gamma: x.at(1) }))
      .at(":", ":2")
      .add(gated(x, "relu2")),
  "crossEntropy with a class left out": (x, z) =>
    crossEntropy(x.mul(z), tensor(Int32Array.of(3, -100, 0))),
};

const plain = (seed: number): number[] =>
  Array.from({ length: 12 }, (_, index) => 0.3 + 0.6 * ((Math.sin(seed + 7.1 * index) + 1) / 2));

describe("rules against central differences in f64", () => {
  for (const [name, of] of Object.entries(cases)) {
    test(name, () => {
      const values = [plain(1), plain(2)];
      const loss = (x: Tensor, z: Tensor): Tensor => {
        const y = of(x, z);
        return y.mul(y).add(y).sum();
      };
      const made = (all: number[][]): [Tensor, Tensor] =>
        all.map((one) => tensor(one, { shape: [3, 4], dtype: "f64" })) as [Tensor, Tensor];
      const got = grad(loss as never)(...made(values)).map((one) => flat(one.toArray()));
      const step = 1e-6;
      for (const which of [0, 1]) {
        for (let index = 0; index < 12; index += 1) {
          const [above, below] = [step, -step].map((change) => {
            const moved = values.map((one) => [...one]);
            moved[which]![index]! += change;
            return Number(loss(...made(moved)).item());
          });
          const want = (above! - below!) / (2 * step);
          expect(Math.abs(got[which]![index]! - want)).toBeLessThan(
            2e-7 * Math.max(1, Math.abs(want)),
          );
        }
      }
    });
  }
});

describe("grad", () => {
  test("of a gradient is the second derivative", () => {
    const cube = (x: Tensor): Tensor => x.pow(3).sum();
    const first = grad(cube);
    const second = grad((x) => first(x)[0]!.sum());
    expect(second(tensor([1, 2, -3], { dtype: "f64" }))[0]!.toArray()).toEqual([6, 12, -18]);
  });

  test("gives value and gradients of the wanted inputs, zeros where nothing depends", () => {
    const both = valueAndGrad((x, z) => x.mul(2).sum().add(z.sum().mul(0)), { of: [0] });
    const { value, gradients } = both(tensor([1, 2]), tensor([3]));
    expect(value.item()).toBe(6);
    expect(gradients.map((one) => one.toArray())).toEqual([[2, 2]]);
    const none = grad((x) => stopGradient(x).sum());
    expect(none(tensor([1, 2]))[0]!.toArray()).toEqual([0, 0]);
  });

  test("goes straight through where a rule of one's own says so", () => {
    const quantized = (x: Tensor): Tensor =>
      customGradient(x.round(), { inputs: [x], rule: (gradient) => [gradient] });
    const [gradient] = grad((x) => quantized(x).mul(3).sum())(tensor([0.4, 1.6]));
    expect(gradient!.toArray()).toEqual([3, 3]);
  });

  test("follows a fit of a line down to its coefficients", () => {
    const x = tensor([[-1], [0], [1], [2]]);
    const y = x.mul(3).add(0.5);
    let w = tensor([[0]]);
    let b = tensor([0]);
    const step = valueAndGrad((weight, bias) => x.matmul(weight).add(bias).sub(y).pow(2).mean());
    for (let round = 0; round < 200; round += 1) {
      const [dw, db] = step(w, b).gradients;
      w = w.sub(dw!.mul(0.1));
      b = b.sub(db!.mul(0.1));
    }
    expect(Number(w.item())).toBeCloseTo(3, 4);
    expect(Number(b.item())).toBeCloseTo(0.5, 4);
  });

  test("reads parameters that were written in place and not looked at since", () => {
    const [a, b] = [tensor(1), tensor(2)];
    const step = grad((x, y) => x.mul(y).mul(y));
    for (const want of [
      [4, 4],
      [9, 12],
      [16, 24],
    ]) {
      const found = step(a, b);
      a.add_(found[0]!.mul(0)).add_(1);
      b.add_(found[1]!.mul(0)).add_(1);
      expect(found.map((one) => one.item())).toEqual(want);
    }
  });

  test("asks no rule of what does not depend on the inputs", () => {
    const noise = randn([3], { seed: 1 });
    const [gradient] = grad((x) => sort(noise).mul(x).sum())(tensor([1, 2, 3]));
    expect(gradient!.toArray()).toEqual(sort(noise).toArray());
  });

  test("refuses what is no scalar, integers, and ops without a gradient", () => {
    throwsCode("tensor/not-a-scalar", () => grad((x) => x)(tensor([1, 2])));
    throwsCode("tensor/bad-dtype", () => grad((x) => x.sum())(tensor(new Int32Array(2))));
  });
});
