/**
 * BitLinear on tensors against units/bitlinear (torch 2.15.0): outputs and straight-through
 * gradients within 1e-5, from float weights and from packed ones. The gradients are the rules of
 * quantize_rows, rms_norm_quantize, ternarize, pack_tile2, pack_tile3 and ternary_matmul.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  bitLinear,
  compile,
  grad,
  randn,
  rmsNorm,
  type Tensor,
  tensor,
  ternaryPackings,
  valueAndGrad,
} from "../../src/tensor/index.ts";
import { readFixtureTensors } from "../quant/read-tensors.ts";
import { throwsCode } from "./throws-code.ts";

interface Case {
  name: string;
  x: [tokens: number, inputs: number];
  w: [outputs: number, inputs: number];
  bias: boolean;
  rms_norm: boolean;
  rms_norm_eps: number | null;
}

const units = join(import.meta.dir, "../fixtures/units");
const { cases } = (await Bun.file(join(units, "bitlinear.json")).json()) as { cases: Case[] };
const stored = await readFixtureTensors(join(units, "bitlinear.safetensors"));

function floatsOf(name: string): Float32Array {
  return new Float32Array(stored.get(name)!.buffer);
}

function expectNear(got: Tensor, name: string): void {
  const want = floatsOf(name);
  const largest = want.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
  const worst = want.reduce(
    (most, value, index) => Math.max(most, Math.abs(value - Number(got.data()[index]))),
    0,
  );
  expect(got.size).toBe(want.length);
  expect(worst / largest).toBeLessThan(1e-5);
}

describe("bitLinear", () => {
  for (const { name, ...shapes } of cases) {
    const read = (part: string, shape: number[]) => tensor(floatsOf(`${name}.${part}`), { shape });
    const [tokens, inputs] = shapes.x;
    const [outputs] = shapes.w;

    test(`${name}: outputs and straight-through gradients are torch's`, () => {
      const dy = read("dy", [tokens, outputs]);
      const given = {
        x: read("x", shapes.x),
        w: read("w", shapes.w),
        ...(shapes.bias && { bias: read("bias", [outputs]) }),
        ...(shapes.rms_norm && { gamma: read("gamma", [inputs]) }),
      };
      const names = Object.keys(given);
      let y: Tensor | undefined;
      const loss = (...list: Tensor[]): Tensor => {
        const { x, w, bias, gamma } = Object.fromEntries(
          names.map((one, index) => [one, list[index]!]),
        );
        const rows = gamma ? rmsNorm(x!, gamma, { eps: shapes.rms_norm_eps! }) : x!;
        y = bitLinear(rows, w!, bias ? { bias } : {});
        return y.mul(dy).sum();
      };
      const { gradients } = valueAndGrad(loss)(...Object.values(given));
      expectNear(y!, `${name}.y`);
      gradients.forEach((gradient, index) => {
        expectNear(gradient, `${name}.d${names[index]}`);
      });
    });

    test(`${name}: packed weights hold torch's codes and give the same bits`, () => {
      const [x, w] = [read("x", shapes.x), read("w", shapes.w)];
      if (shapes.rms_norm) return;
      const codes = new Int8Array(stored.get(`${name}.ternary`)!.buffer);
      const bias = shapes.bias ? { bias: read("bias", [outputs]) } : {};
      const want = bitLinear(x, w, bias).data();
      for (const packing of ["tile2", "tile3", "hf_ternary"] as const) {
        const packed = w.to("ternary", { packing });
        expect(packed.to("i8").data()).toEqual(codes);
        expect(bitLinear(x, packed, bias).data()).toEqual(want);
      }
    });
  }

  test("a gradient goes through frozen packed weights as through their floats", () => {
    const [x, w] = [randn([3, 40], { seed: 1 }), randn([7, 40], { seed: 2 })];
    const want = grad((given) => bitLinear(given, w).pow(2).sum())(x)[0]!.data();
    for (const packing of ["tile2", "tile3", "hf_ternary"] as const) {
      const packed = w.to("ternary", { packing });
      const [dx] = grad((given) => bitLinear(given, packed).pow(2).sum())(x);
      expect(dx!.data()).toEqual(want);
    }
  });

  test("takes leading axes, half floats and integers, and runs compiled", () => {
    const x = randn([2, 3, 16], { seed: 1 });
    const w = randn([5, 16], { seed: 2 }).to("ternary");
    const y = bitLinear(x, w);
    expect(y.shape).toEqual([2, 3, 5]);
    expect(bitLinear(x.to("bf16"), w).dtype).toBe("bf16");
    expect(bitLinear(tensor(Int8Array.from({ length: 16 }, (_, i) => i - 8)), w).dtype).toBe("f32");
    expect(compile((given) => bitLinear(given, w))(x).data()).toEqual(y.data());
    expect(bitLinear(x.at("0:0"), w).shape).toEqual([0, 3, 5]);
  });

  test("gives the same bits where passes share and fold what weights are made of", () => {
    const [x, z, w] = [2, 3, 4].map((seed) => randn([8, 64], { seed })) as [Tensor, Tensor, Tensor];
    const stored = w.to("ternary", { packing: "hf_ternary" });
    const made = w.to("ternary");
    const all = (of: (x: Tensor, w: Tensor) => Tensor) =>
      [w, stored, made].map((one) => of(x, one));
    const want = bitLinear(x, w).data();
    const other = bitLinear(z, w).data();
    const both = bitLinear(x, w).add(bitLinear(z, w)).data();
    for (const y of all(bitLinear)) expect(y.data()).toEqual(want);
    for (const y of all((a, b) => bitLinear(a, b).add(bitLinear(z, b)))) {
      expect(y.data()).toEqual(both);
    }
    // The copy of a scale, and who reads the scale, in one trace.
    const fresh = w.to("ternary");
    const copy = fresh.clone();
    const results = [bitLinear(x, fresh), bitLinear(z, copy), bitLinear(z, fresh)];
    expect(results.map((y) => y.data())).toEqual([want, other, other]);
    const compiled = compile((a: Tensor, b: Tensor) =>
      [w, stored, made].flatMap((one) => [bitLinear(a, one), bitLinear(b, one)]),
    );
    expect(compiled(x, z).map((y) => y.data())).toEqual([want, other, want, other, want, other]);
  });

  test("refuses shapes that do not fit, naming both", () => {
    const w = randn([5, 16], { seed: 2 });
    const message = throwsCode("tensor/shape-mismatch", () => bitLinear(randn([2, 15]), w));
    expect(message).toContain("(2, 15)");
    expect(message).toContain("(5, 16)");
    throwsCode("tensor/shape-mismatch", () => bitLinear(randn([2, 5]), randn([5])));
    throwsCode("tensor/shape-mismatch", () => bitLinear(randn([16]), w, { bias: randn([4]) }));
  });
});

describe("ternary tensors", () => {
  test("are read, printed, unpacked and packed anew without a change", () => {
    const w = randn([32, 256], { seed: 5 });
    const first = w.to("ternary");
    expect([first.dtype, first.packing, first.shape]).toEqual(["ternary", "tile2", [32, 256]]);
    const codes = first.to("i8").data();
    expect(new Set(codes)).toEqual(new Set([-1, 0, 1]));
    const values = first.data();
    for (const packing of ternaryPackings) {
      const packed = first.to("ternary", { packing });
      expect(packed.packing).toBe(packing);
      expect(packed.data()).toEqual(values);
      expect(packed.to("ternary").to("i8").data()).toEqual(codes);
      expect(packed.clone().data()).toEqual(values);
      expect(packed.byteSize).toBeLessThan(w.byteSize / 15);
    }
    expect(Bun.inspect(first)).toStartWith("tensor((32, 256), ternary tile2, cpu,");
  });

  test("hold the codes and the scale that they are given", () => {
    const codes = tensor(Int8Array.of(-1, 0, 1, 5, -7, 0), { shape: [2, 3] });
    const w = codes.to("ternary", { scale: 0.5 });
    expect(w.toArray()).toEqual([
      [-0.5, 0, 0.5],
      [0.5, -0.5, 0],
    ]);
    expect(codes.to("ternary").toArray()).toEqual([
      [-1, 0, 1],
      [1, -1, 0],
    ]);
    const floats = tensor([[0.1, -0.3, 0.2]]).to("ternary", { scale: 0.25 });
    expect(floats.toArray()).toEqual([[0, -0.25, 0.25]]);
  });

  test("are operands as their floats are, and only read", () => {
    const w = tensor([[1, -1]]).to("ternary");
    expect(w.add(1).toArray()).toEqual([[2, 0]]);
    expect(w.matmul(tensor([[2], [3]])).toArray()).toEqual([[-1]]);
    expect(w.at(0, 1).item()).toBe(-1);
    throwsCode("tensor/bad-dtype", () => w.add_(1));
    throwsCode("tensor/bad-dtype", () => w.assign(1));
    throwsCode("tensor/bad-shape", () => randn([4]).to("ternary"));
    throwsCode("tensor/bad-shape", () => randn([0, 4]).to("ternary"));
    throwsCode("tensor/bad-shape", () => randn([2, 4]).to("ternary", { packing: "tq2_0" }));
    throwsCode("tensor/bad-shape", () => randn([2, 4]).to("ternary", { packing: "i2_s_64" }));
  });

  test("are gone when disposed, and so is what they are views of not", () => {
    const w = randn([40, 40], { seed: 1 }).to("ternary");
    const copy = w.clone();
    const want = w.toArray();
    w[Symbol.dispose]();
    throwsCode("tensor/disposed", () => w.toArray());
    expect(copy.toArray()).toEqual(want);
  });
});

describe("i4", () => {
  test("rounds half to even, stops at -8 and 7, two a byte, of every dtype", () => {
    const x = [
      [1.5, 2.5, -9, 7.6, Number.NaN],
      [-0.5, 0.5, -7.5, 100, 3],
    ];
    const want = [
      [2, 2, -8, 7, 0],
      [0, 0, -8, 7, 3],
    ];
    for (const dtype of ["f32", "f64", "f16"] as const) {
      const packed = tensor(x, { dtype }).to("i4");
      expect([packed.dtype, packed.shape, packed.byteSize]).toEqual(["i4", [2, 5], 5]);
      expect(packed.toArray()).toEqual(want);
    }
    expect(
      tensor([0.5 + 1e-9], { dtype: "f64" })
        .to("i4")
        .toArray(),
    ).toEqual([1]);
    for (const dtype of ["i32", "i8"] as const) {
      expect(
        tensor(
          [
            [-9, 3],
            [8, 0],
          ],
          { dtype },
        )
          .to("i4")
          .toArray(),
      ).toEqual([
        [-8, 3],
        [7, 0],
      ]);
    }
    expect(tensor([true, false]).to("i4").toArray()).toEqual([1, 0]);
  });

  test("meets others as i8, and is read through its elements", () => {
    const x = tensor([[1, 2, 3]]).to("i4");
    expect(x.add(1).dtype).toBe("i8");
    expect(x.mul(0.5).toArray()).toEqual([[0.5, 1, 1.5]]);
    expect(x.transpose().at(1).toArray()).toEqual([2]);
    expect(x.to("f32").toArray()).toEqual([[1, 2, 3]]);
    expect(x.clone().dtype).toBe("i4");
    expect(tensor([]).to("i4").toArray()).toEqual([]);
    expect(tensor(5).to("i4").item()).toBe(5);
    throwsCode("tensor/bad-dtype", () => x.mul_(2));
  });
});
