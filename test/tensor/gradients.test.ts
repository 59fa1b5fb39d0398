/** Gradients against torch's values and, op by op, against central differences in f64. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { gradientRules } from "../../src/graph/gradients/rules.ts";
import type { OpName } from "../../src/native/index.ts";
import {
  crossEntropy,
  customGradient,
  gated,
  grad,
  layerNorm,
  type NestedArray,
  randn,
  rmsNorm,
  rope,
  sort,
  stopGradient,
  type Tensor,
  tensor,
  valueAndGrad,
} from "../../src/tensor/index.ts";
import { combinedCases, gradientCases } from "./gradient-cases.ts";
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

const plain = (seed: number): number[] =>
  Array.from({ length: 12 }, (_, index) => 0.3 + 0.6 * ((Math.sin(seed + 7.1 * index) + 1) / 2));

describe("rules against central differences in f64", () => {
  const all = [...Object.entries(gradientCases), ...Object.entries(combinedCases)];
  for (const [name, of] of all) {
    if (typeof of !== "function") continue;
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

describe("the table of cases", () => {
  test("leaves out what has no rule, and nothing else; what is elsewhere is there", async () => {
    for (const [op, entry] of Object.entries(gradientCases)) {
      const hasRule = typeof gradientRules[op as OpName] === "function";
      expect([op, entry !== "none"]).toEqual([op, hasRule]);
      if (typeof entry !== "object") continue;
      const text = await Bun.file(join(import.meta.dir, "..", entry.file)).text();
      const camel = op.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
      expect([op, text.includes(op) || text.includes(camel)]).toEqual([op, true]);
    }
  });
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
