/** Joining, splitting, padding and repeating against elements placed one by one. */
import { describe, expect, test } from "bun:test";
import {
  concat,
  flip,
  pad,
  repeat,
  roll,
  split,
  stack,
  type Tensor,
  tensor,
  tile,
} from "../../src/tensor/index.ts";
import { anyDType, Dice, element, made, plain, replaced, someShape, someTensor } from "./plain.ts";
import { throwsCode } from "./throws-code.ts";

const rounds = 60;

/** Another random case each round, all from one seed. */
function each(seed: number, check: (dice: Dice) => void): void {
  const dice = new Dice(seed);
  for (let round = 0; round < rounds; round += 1) check(dice);
}

describe("joining", () => {
  test("concat lays parts of any dtype and stride one behind the other", () => {
    each(1, (dice) => {
      const shape = someShape(dice, dice.whole(1, 4));
      const axis = dice.whole(0, shape.length - 1);
      const dtype = dice.pick(anyDType);
      const parts: Tensor[] = Array.from({ length: dice.whole(1, 5) }, () =>
        someTensor(dice, replaced(shape, axis, dice.whole(0, 3)), dtype),
      );
      const joined = concat(parts, dice.pick([axis, axis - shape.length]));
      const count = parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
      const plains = parts.map(plain);
      const want = made(replaced(shape, axis, count), (index) => {
        let at = index[axis]!;
        let which = 0;
        while (at >= plains[which]!.shape[axis]!) at -= plains[which++]!.shape[axis]!;
        return element(plains[which]!, replaced(index, axis, at));
      });
      expect(joined.dtype).toBe(dtype);
      expect(plain(joined)).toEqual(want);
    });
  });

  test("concat keeps negative zeros and what is not a number, and promotes dtypes", () => {
    const joined = concat([tensor([-0, Number.NaN]), tensor([-0, -Infinity])]);
    expect(plain(joined).data).toEqual([-0, Number.NaN, -0, -Infinity]);
    const mixed = concat([tensor([1], { dtype: "i8" }), tensor([0.5], { dtype: "f16" })]);
    expect([mixed.dtype, ...plain(mixed).data]).toEqual(["f16", 1, 0.5]);
  });

  test("stack makes a new axis anywhere", () => {
    each(2, (dice) => {
      const shape = someShape(dice, dice.whole(0, 3));
      const axis = dice.whole(0, shape.length);
      const parts = Array.from({ length: dice.whole(1, 4) }, () => someTensor(dice, shape));
      const plains = parts.map(plain);
      const want = made([...shape.slice(0, axis), parts.length, ...shape.slice(axis)], (index) =>
        element(plains[index[axis]!]!, index.toSpliced(axis, 1)),
      );
      expect(plain(stack(parts, axis))).toEqual(want);
    });
  });

  test("split gives views that make up the whole", () => {
    const x = tensor([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ]);
    const [left, right] = split(x, 2, 1);
    const thirds = split(x, [1, 0, 3], -1);
    expect(thirds.map(({ shape }) => shape)).toEqual([
      [2, 1],
      [2, 0],
      [2, 3],
    ]);
    expect(plain(concat(thirds, 1))).toEqual(plain(x));
    right!.assign(left!);
    expect(plain(x).data).toEqual([1, 2, 1, 2, 5, 6, 5, 6]);
  });

  test("flip and roll read by exchanged indices", () => {
    each(3, (dice) => {
      const x = someTensor(dice, someShape(dice, dice.whole(1, 3)), dice.pick(anyDType));
      const from = plain(x);
      const axis = dice.whole(0, x.rank - 1);
      const extent = x.shape[axis]!;
      const shift = dice.whole(-7, 7);
      const moved = (by: (at: number) => number) =>
        made(from.shape, (index) => element(from, replaced(index, axis, by(index[axis]!))));
      expect(plain(flip(x, axis))).toEqual(moved((at) => extent - 1 - at));
      expect(plain(roll(x, shift, axis))).toEqual(
        moved((at) => (at - shift + 70 * extent) % extent),
      );
    });
    expect(
      plain(
        flip(
          tensor([
            [1, 2],
            [3, 4],
          ]),
        ),
      ).data,
    ).toEqual([4, 3, 2, 1]);
  });
});

describe("padding and repeating", () => {
  test("pad puts a number around any view", () => {
    each(4, (dice) => {
      const dtype = dice.pick(anyDType);
      const x = someTensor(dice, someShape(dice, dice.whole(1, 3), 0), dtype);
      const widths = x.shape.map((): [number, number] => [dice.whole(0, 2), dice.whole(0, 2)]);
      const value = dice.whole(0, 1);
      const from = plain(x);
      const shape = from.shape.map((extent, axis) => extent + widths[axis]![0] + widths[axis]![1]);
      const want = made(shape, (index) => {
        const own = index.map((at, axis) => at - widths[axis]![0]);
        const inside = own.every((at, axis) => at >= 0 && at < from.shape[axis]!);
        if (inside) return element(from, own);
        return dtype === "bool" ? value === 1 : value;
      });
      expect(plain(pad(x, widths, value))).toEqual(want);
    });
  });

  test("repeat gives each element again, tile the whole", () => {
    each(5, (dice) => {
      const x = someTensor(dice, someShape(dice, dice.whole(1, 3)), dice.pick(anyDType));
      const from = plain(x);
      const axis = dice.whole(0, x.rank - 1);
      const extent = x.shape[axis]!;
      const count = dice.whole(0, 3);
      const shape = replaced(from.shape, axis, extent * count);
      const moved = (by: (at: number) => number) =>
        made(shape, (index) => element(from, replaced(index, axis, by(index[axis]!))));
      expect(plain(repeat(x, count, axis))).toEqual(moved((at) => Math.floor(at / count)));
      const counts = x.shape.map((_, at) => (at === axis ? count : 1));
      expect(plain(tile(x, counts))).toEqual(moved((at) => at % extent));
    });
    const x = tensor([1, 2]);
    expect(plain(tile(x, [2, 2])).data).toEqual([1, 2, 1, 2, 1, 2, 1, 2]);
    expect(tile(x, [2, 2]).shape).toEqual([2, 4]);
    expect(plain(repeat(tensor([[1], [2]]), 2)).data).toEqual([1, 1, 2, 2]);
  });
});

test("what cannot be joined is refused by name", () => {
  const x = tensor([[1, 2]]);
  throwsCode("tensor/shape-mismatch", () => concat([]));
  throwsCode("tensor/shape-mismatch", () => concat([x, tensor([1, 2])]));
  throwsCode("tensor/shape-mismatch", () => concat([x, tensor([[1]])]));
  throwsCode("tensor/axis-out-of-range", () => concat([x], 2));
  throwsCode("tensor/shape-mismatch", () => stack([x, x.transpose()]));
  throwsCode("tensor/shape-mismatch", () => split(x, 3, 1));
  throwsCode("tensor/shape-mismatch", () => split(x, [1, 2], 1));
  throwsCode("tensor/shape-mismatch", () => split(x, 0, 1));
  throwsCode("tensor/bad-shape", () => pad(x, [[1, 1]]));
  throwsCode("tensor/bad-shape", () => pad(x, -1));
  throwsCode("tensor/bad-shape", () => repeat(x, 1.5, 0));
  throwsCode("tensor/bad-shape", () => tile(x, [-1]));
  throwsCode("tensor/bad-index", () => roll(x, 0.5));
});
