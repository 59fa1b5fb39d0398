/** Contractions against NumPy's values (arrays.json) and against loops over all labels. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { cheapestOrder } from "../../src/tensor/contraction-order.ts";
import {
  dot,
  einsum,
  outer,
  type Tensor,
  tensor,
  tensordot,
  zeros,
} from "../../src/tensor/index.ts";
import { Dice, element, made, plain, sizeOf, someTensor, unflat } from "./plain.ts";
import { throwsCode } from "./throws-code.ts";

interface Case {
  spec: string;
  shapes: number[][];
  operands: number[][];
  result_shape: number[];
  result: number[];
}

const path = join(import.meta.dir, "..", "fixtures", "units", "arrays.json");
const { einsum: cases } = (await Bun.file(path).json()) as { einsum: Case[] };

function expectNear(got: readonly (number | boolean)[], want: readonly number[]): void {
  expect(got.length).toBe(want.length);
  for (const [index, value] of got.entries()) {
    const scale = Math.max(1, Math.abs(want[index]!));
    expect(Math.abs(Number(value) - want[index]!) / scale).toBeLessThan(1e-12);
  }
}

describe("einsum", () => {
  for (const { spec, shapes, operands, result_shape, result } of cases) {
    test(`${spec} of ${JSON.stringify(shapes)} is NumPy's`, () => {
      const given = operands.map((data, at) =>
        tensor(Float64Array.from(data), { shape: shapes[at]! }),
      );
      const got = plain(einsum(spec, ...given));
      expect(got.shape).toEqual(result_shape);
      expectNear(got.data, result);
    });
  }

  test("any labels on any views equal the loops over all of them", () => {
    const dice = new Dice(7);
    for (let round = 0; round < 150; round += 1) {
      const letters = [..."ijklm"].slice(0, dice.whole(1, 5));
      const extents = new Map(letters.map((letter) => [letter, dice.whole(1, 3)]));
      const terms = Array.from({ length: dice.whole(1, 4) }, () =>
        Array.from({ length: dice.whole(0, 3) }, () => dice.pick(letters)),
      );
      const used = [...new Set(terms.flat())];
      const result = used.filter(() => dice.whole(0, 1) === 1);
      const text = `${terms.map((term) => term.join("")).join(",")}->${result.join("")}`;
      const shapes = terms.map((term) => term.map((letter) => extents.get(letter)!));
      const operands = shapes.map((shape) => someTensor(dice, shape, dice.pick(["f64", "i32"])));
      const plains = operands.map(plain);
      const dims = used.map((letter) => extents.get(letter)!);
      const summed = (index: number[]): number => {
        let sum = 0;
        for (let flat = 0; flat < sizeOf(dims); flat += 1) {
          const at = unflat(flat, dims);
          if (result.some((letter, axis) => at[used.indexOf(letter)] !== index[axis])) continue;
          sum += terms.reduce((product, term, which) => {
            const own = term.map((letter) => at[used.indexOf(letter)]!);
            return product * Number(element(plains[which]!, own));
          }, 1);
        }
        return sum;
      };
      const want = made(
        result.map((letter) => extents.get(letter)!),
        summed,
      );
      // Small whole numbers: exact in any order, but for the sign of zero.
      const { shape, data } = plain(einsum(text, ...operands));
      expect({ text, shape, data: data.map((one): number | boolean => Number(one) + 0) }).toEqual({
        text,
        ...want,
      });
    }
  });

  test("extents of one are repeated, and empty axes sum to zero", () => {
    const x = tensor([[1], [2]]);
    expect(plain(einsum("ij,ij->ij", x, tensor([[1, 10, 100]]))).data).toEqual([
      1, 10, 100, 2, 20, 200,
    ]);
    const none = tensor(new Float32Array(0), { shape: [2, 0] });
    expect(plain(einsum("ij,kj->ik", none, none))).toEqual({ shape: [2, 2], data: [0, 0, 0, 0] });
  });

  test("nine operands are contracted, too", () => {
    const matrix = tensor(
      [
        [1, 1],
        [0, 1],
      ],
      { dtype: "f64" },
    );
    const chain = Array.from({ length: 9 }, () => matrix);
    const got = einsum("ab,bc,cd,de,ef,fg,gh,hi,ij->aj", ...chain);
    expect(plain(got).data).toEqual([1, 9, 0, 1]);
  });

  test("a chain is multiplied from its cheap end", () => {
    const extents = new Map([
      ["i", 1],
      ["j", 100],
      ["k", 100],
      ["l", 100],
    ]);
    const operands = [
      ["i", "j"],
      ["j", "k"],
      ["k", "l"],
    ];
    expect(cheapestOrder({ operands, result: ["i", "l"], extents })).toEqual([[0, 1], 2]);
  });

  test("subscripts that make no sense are refused", () => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ]);
    for (const text of [
      "i",
      "ijk",
      "i,j",
      "ij->k",
      "ij->ii",
      "ij->i->j",
      "i.j",
      "...ij...",
      "i1",
    ]) {
      throwsCode("tensor/bad-subscripts", () => einsum(text, x));
    }
    throwsCode("tensor/bad-subscripts", () => einsum("...j->j", x));
    throwsCode("tensor/shape-mismatch", () =>
      einsum(
        "ij,jk",
        x,
        tensor([
          [1, 2, 3],
          [1, 2, 3],
          [1, 2, 3],
        ]),
      ),
    );
    throwsCode("tensor/shape-mismatch", () => einsum("ii", tensor([[1, 2]])));
    const six = tensor(new Float32Array(1), { shape: [1, 1, 1, 1, 1, 1] });
    throwsCode("tensor/bad-shape", () => einsum("abcdef,ghijkl->abcdefghijkl", six, six));
  });
});

describe("tensordot, dot and outer", () => {
  const pair = (): [Tensor, Tensor] => {
    const dice = new Dice(11);
    return [someTensor(dice, [2, 3, 4], "f64"), someTensor(dice, [4, 3, 5], "f64")];
  };

  test("axes are summed in pairs", () => {
    const [a, b] = pair();
    const want = plain(einsum("ijk,kjl->il", a, b));
    expect(
      plain(
        tensordot(a, b, [
          [2, 1],
          [0, -2],
        ]),
      ),
    ).toEqual(want);
    expect(plain(tensordot(a, b.permute(1, 0, 2)))).toEqual(want);
    expect(tensordot(a, b, 0).shape).toEqual([2, 3, 4, 4, 3, 5]);
  });

  test("dot takes the last axis of a and the one before the last of b", () => {
    const [a, b] = pair();
    const vector = tensor([1, 2, 3, 4], { dtype: "f64" });
    expect(dot(vector, vector).item()).toBe(30);
    expect(plain(dot(a, vector))).toEqual(plain(einsum("ijk,k", a, vector)));
    const c = b.permute(1, 0, 2);
    expect(plain(dot(a, c))).toEqual(plain(einsum("ijk,mkl->ijml", a, c)));
    expect(plain(dot(tensor(3), vector)).data).toEqual([3, 6, 9, 12]);
  });

  test("outer multiplies everything with everything", () => {
    const x: Tensor = outer(tensor([1, 2]), tensor([[3], [4]]));
    expect(plain(x)).toEqual({ shape: [2, 2], data: [3, 4, 6, 8] });
  });

  test("axes that do not fit are refused", () => {
    const [a, b] = [tensor(new Float32Array(24), { shape: [2, 3, 4] }), zeros([4, 3, 5])];
    throwsCode("tensor/shape-mismatch", () => tensordot(a, b));
    throwsCode("tensor/shape-mismatch", () =>
      tensordot(a, b, [
        [2, 2],
        [0, 0],
      ]),
    );
    throwsCode("tensor/axis-out-of-range", () => tensordot(a, b, [[3], [0]]));
    throwsCode("tensor/axis-out-of-range", () => tensordot(a, b, [[2, 1], [0]]));
    throwsCode("tensor/shape-mismatch", () => dot(a, b.permute()));
  });
});
