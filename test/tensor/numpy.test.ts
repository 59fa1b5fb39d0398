/** Broadcasting, slices and reductions against NumPy's values (arrays.json). */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Index, type NestedArray, type Tensor, tensor } from "../../src/tensor/index.ts";
import { throwsCode } from "./throws-code.ts";

interface Binary {
  op: keyof typeof binaries;
  a_shape: number[];
  b_shape: number[];
  a: number[];
  b: number[];
  result_shape: number[];
  result: (number | boolean)[];
}

type Range = [start: number | null, stop: number | null, step: number | null];

interface Arrays {
  broadcast: Binary[];
  broadcast_errors: { a_shape: number[]; b_shape: number[] }[];
  slice_arrays: Record<string, { shape: number[]; values: number[] }>;
  slices: { array: string; index: (number | Range)[]; result_shape: number[]; result: number[] }[];
  reduce_input: { shape: number[]; values: number[] };
  reductions: {
    op: keyof typeof reductions;
    axis: number | null;
    result_shape: number[];
    result: number[];
  }[];
}

const path = join(import.meta.dir, "..", "fixtures", "units", "arrays.json");
const arrays = (await Bun.file(path).json()) as Arrays;

const binaries = {
  add: (a: Tensor, b: Tensor) => a.add(b),
  subtract: (a: Tensor, b: Tensor) => a.sub(b),
  multiply: (a: Tensor, b: Tensor) => a.mul(b),
  divide: (a: Tensor, b: Tensor) => a.div(b),
  power: (a: Tensor, b: Tensor) => a.pow(b),
  maximum: (a: Tensor, b: Tensor) => a.maximum(b),
  minimum: (a: Tensor, b: Tensor) => a.minimum(b),
  equal: (a: Tensor, b: Tensor) => a.eq(b),
  less: (a: Tensor, b: Tensor) => a.lt(b),
};

const reductions = {
  sum: (x: Tensor, axes?: number) => x.sum({ axes }),
  prod: (x: Tensor, axes?: number) => x.prod({ axes }),
  max: (x: Tensor, axes?: number) => x.max({ axes }),
  min: (x: Tensor, axes?: number) => x.min({ axes }),
  mean: (x: Tensor, axes?: number) => x.mean({ axes }),
  var: (x: Tensor, axes?: number) => x.var({ axes }),
  std: (x: Tensor, axes?: number) => x.std({ axes }),
  argmax: (x: Tensor, axes?: number) => x.argmax(axes),
  argmin: (x: Tensor, axes?: number) => x.argmin(axes),
  cumsum: (x: Tensor, axes?: number) =>
    axes === undefined ? x.reshape(-1).cumsum(0) : x.cumsum(axes),
};

function made(values: number[], shape: number[], dtype: "f32" | "f64"): Tensor {
  return tensor(values, { shape, dtype });
}

function flat(x: Tensor): (number | boolean)[] {
  return ([x.toArray()] as NestedArray[]).flat(7) as (number | boolean)[];
}

function expectNear(got: Tensor, want: readonly (number | boolean)[], tolerance: number): void {
  flat(got).forEach((value, index) => {
    const wanted = want[index]!;
    if (typeof wanted === "boolean") {
      expect(value).toBe(wanted);
    } else {
      const scale = Math.max(1, Math.abs(wanted));
      expect(Math.abs(Number(value) - wanted) / scale).toBeLessThan(tolerance);
    }
  });
}

for (const [dtype, tolerance] of [
  ["f64", 1e-12],
  ["f32", 2e-6],
] as const) {
  describe(`as NumPy, in ${dtype}`, () => {
    test("operations of two broadcast shapes", () => {
      for (const { op, a_shape, b_shape, a, b, result_shape, result } of arrays.broadcast) {
        const got = binaries[op](made(a, a_shape, dtype), made(b, b_shape, dtype));
        expect([...got.shape]).toEqual(result_shape);
        expectNear(got, result, tolerance);
      }
    });

    test("reductions over every axis and over all", () => {
      const { shape, values } = arrays.reduce_input;
      for (const { op, axis, result_shape, result } of arrays.reductions) {
        const got = reductions[op](made(values, shape, dtype), axis ?? undefined);
        expect([...got.shape]).toEqual(result_shape);
        expectNear(got, result, tolerance * 10);
      }
    });
  });
}

test("slices take the elements that NumPy's take", () => {
  for (const { array, index, result_shape, result } of arrays.slices) {
    const { shape, values } = arrays.slice_arrays[array]!;
    const indices = index.map(
      (one): Index => (typeof one === "number" ? one : one.map((part) => part ?? "").join(":")),
    );
    const got = tensor(values, { shape }).at(...indices);
    expect([...got.shape]).toEqual(result_shape);
    expect(flat(got)).toEqual(result);
  }
});

test("shapes that NumPy does not broadcast are refused", () => {
  for (const { a_shape, b_shape } of arrays.broadcast_errors) {
    const [a, b] = [a_shape, b_shape].map((shape) =>
      tensor(new Float32Array(shape.reduce((x, y) => x * y)), { shape }),
    );
    throwsCode("tensor/shape-mismatch", () => a!.add(b!));
  }
});
