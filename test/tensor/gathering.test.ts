/** Indices in lists and tensors, masks, scatter, sorting: against loops over all elements. */
import { describe, expect, test } from "bun:test";
import {
  argsort,
  concat,
  type DType,
  einsum,
  gather,
  grad,
  type Index,
  nonzero,
  pad,
  scatter,
  scatterAdd,
  sort,
  type Tensor,
  take,
  tensor,
  topk,
  where,
  zeros,
} from "../../src/tensor/index.ts";
import {
  anyDType,
  Dice,
  element,
  flatOf,
  made,
  plain,
  replaced,
  sizeOf,
  someShape,
  someTensor,
  unflat,
} from "./plain.ts";
import { throwsCode } from "./throws-code.ts";

const rounds = 50;

function each(seed: number, check: (dice: Dice) => void): void {
  const dice = new Dice(seed);
  for (let round = 0; round < rounds; round += 1) check(dice);
}

/** Indices into an axis, below 0 too. */
function someIndex(dice: Dice, shape: readonly number[], extent: number): Tensor {
  const places = Int32Array.from({ length: sizeOf(shape) }, () => dice.whole(-extent, extent - 1));
  return tensor(places, { shape }).to(dice.pick<DType>(["i32", "i8"]));
}

function front(index: number | boolean, extent: number): number {
  return Number(index) < 0 ? Number(index) + extent : Number(index);
}

describe("taking", () => {
  test("take replaces an axis by the axes of its index", () => {
    each(21, (dice) => {
      const x = someTensor(dice, someShape(dice, dice.whole(1, 3)), dice.pick(anyDType));
      const axis = dice.whole(0, x.rank - 1);
      const index = someIndex(dice, someShape(dice, dice.whole(0, 2), 0), x.shape[axis]!);
      const [from, places] = [plain(x), plain(index)];
      const shape = [...x.shape.slice(0, axis), ...index.shape, ...x.shape.slice(axis + 1)];
      const want = made(shape, (at) => {
        const own = element(places, at.slice(axis, axis + index.rank));
        const rest = at.toSpliced(axis, index.rank, front(own, x.shape[axis]!));
        return element(from, rest);
      });
      expect(plain(take(x, index, axis))).toEqual(want);
    });
  });

  test("gather picks single elements along an axis", () => {
    each(22, (dice) => {
      const x = someTensor(dice, someShape(dice, dice.whole(1, 4)), dice.pick(anyDType));
      const axis = dice.whole(0, x.rank - 1);
      const shape = x.shape.map((extent, at) => dice.whole(1, at === axis ? 5 : extent));
      const index = someIndex(dice, shape, x.shape[axis]!);
      const [from, places] = [plain(x), plain(index)];
      const want = made(shape, (at) =>
        element(from, replaced(at, axis, front(element(places, at), x.shape[axis]!))),
      );
      expect(plain(gather(x, axis, index))).toEqual(want);
    });
  });

  const x = [
    [
      [0, 1, 2],
      [3, 4, 5],
    ],
    [
      [6, 7, 8],
      [9, 10, 11],
    ],
  ];
  const cases: [string, () => Index[], number[], number[]][] = [
    [
      "a list",
      () => [[1, 0, -1]],
      [3, 2, 3],
      [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    ],
    ["a list behind a range", () => [":", "::-1", [2, 0]], [2, 2, 2], [5, 3, 2, 0, 11, 9, 8, 6]],
    ["two lists side by side", () => [":", [0, 1], [2, 0]], [2, 2], [2, 3, 8, 9]],
    ["two lists apart", () => [[0, 1], ":", [2, 0]], [2, 2], [2, 5, 6, 9]],
    [
      "a list and a number apart",
      () => [1, ":", [0, 2]],
      [2, 2],
      [6, 8, 9, 11].toSorted((a, b) => (a % 3) - (b % 3) || a - b),
    ],
    ["a list and a number side by side", () => [":", 1, [0, 2]], [2, 2], [3, 5, 9, 11]],
    [
      "lists that are broadcast",
      () => [tensor([[0], [1]]).to("i32"), 0, [1, 2]],
      [2, 2],
      [1, 2, 7, 8],
    ],
    ["a new axis and a list", () => [0, null, [1]], [1, 1, 3], [3, 4, 5]],
    ["an empty list", () => [[]], [0, 2, 3], []],
    ["a mask of all axes", () => [tensor(x).gt(8)], [3], [9, 10, 11]],
    [
      "a mask of one axis",
      () => ["...", tensor([true, false, true])],
      [2, 2, 2],
      [0, 2, 3, 5, 6, 8, 9, 11],
    ],
  ];
  for (const [what, index, shape, data] of cases) {
    test(`at() with ${what} gives what NumPy gives`, () => {
      expect(plain(tensor(x).at(...index()))).toEqual({ shape, data });
    });
  }

  test("mask and nonzero find the elements that are true", () => {
    each(23, (dice) => {
      const whole = someTensor(dice, someShape(dice, 3), "i32");
      const condition = someTensor(dice, whole.shape.slice(0, dice.whole(1, 3)), "bool");
      const [from, flags] = [plain(whole), plain(condition)];
      const found = flags.data.flatMap((flag, at) => (flag ? [unflat(at, flags.shape)] : []));
      const rest = from.shape.slice(condition.rank);
      const want = made([found.length, ...rest], ([row, ...own]) =>
        element(from, [...found[row!]!, ...own]),
      );
      expect(plain(whole.mask(condition))).toEqual(want);
      expect(plain(nonzero(condition)).data).toEqual(found.flat());
    });
    const picked = tensor([1, 2, 3]).at([0, 2]);
    picked.assign(0);
    expect(picked.toArray()).toEqual([0, 0]);
  });

  test("where takes by a condition", () => {
    expect(plain(where(tensor([true, false]), 1, tensor([[5], [6]]))).data).toEqual([1, 5, 1, 6]);
  });
});

describe("scattering", () => {
  for (const adds of [false, true]) {
    test(`${adds ? "scatterAdd adds" : "scatter writes"} in the order of the source`, () => {
      each(24, (dice) => {
        const dtype = dice.pick<DType>(["f32", "f64", "i32", "i8", "f16"]);
        const x = someTensor(dice, someShape(dice, dice.whole(1, 3)), dtype);
        const axis = dice.whole(0, x.rank - 1);
        const shape = x.shape.map((extent, at) => dice.whole(1, at === axis ? 3 : extent));
        const index = someIndex(dice, shape, x.shape[axis]!);
        const source = someTensor(dice, shape, dtype).div(2).to(dtype);
        const [want, places, added] = [plain(x), plain(index), plain(source)];
        for (const [at, value] of added.data.entries()) {
          const own = unflat(at, shape);
          const to = front(element(places, own), x.shape[axis]!);
          const flat = flatOf(want.shape, replaced(own, axis, to));
          want.data[flat] = adds ? Number(want.data[flat]) + Number(value) : value;
        }
        const write = adds ? scatterAdd : scatter;
        expect(plain(write(x, { axis, index, source }))).toEqual(want);
      });
    });
  }

  test("the last of many writers of one place wins", () => {
    const index = tensor(new Int32Array(1000).map((_, at) => at % 3));
    const source = tensor(new Float32Array(1000).map((_, at) => at));
    const written = scatter(zeros([4]), { axis: 0, index, source });
    expect(written.toArray()).toEqual([999, 997, 998, 0]);
    const none = tensor(new Int32Array(0));
    const kept = scatter(tensor([1, 2]), { axis: 0, index: none, source: zeros([0]) });
    expect(kept.toArray()).toEqual([1, 2]);
  });
});

describe("sorting", () => {
  test("sort, argsort and topk order any axis, equal elements as they stood", () => {
    each(25, (dice) => {
      const dtype = dice.pick<DType>(["f32", "f64", "f16", "bf16", "i32", "i8", "u8"]);
      const x = someTensor(dice, someShape(dice, dice.whole(1, 3)), dtype);
      const axis = dice.whole(0, x.rank - 1);
      const descending = dice.whole(0, 1) === 1;
      const from = plain(x);
      const order = (at: number[]): number[] => {
        const own = (place: number) => Number(element(from, replaced(at, axis, place)));
        const places = Array.from({ length: x.shape[axis]! }, (_, place) => place);
        return places.sort((a, b) => (descending ? own(b) - own(a) : own(a) - own(b)));
      };
      const places = made(from.shape, (at) => order(at)[at[axis]!]!);
      const values = made(from.shape, (at) =>
        element(from, replaced(at, axis, Number(element(places, at)))),
      );
      expect(plain(sort(x, { axis, descending }))).toEqual(values);
      expect(plain(argsort(x, { axis, descending }))).toEqual(places);
      const count = dice.whole(0, x.shape[axis]!);
      const first = topk(x, count, { axis, largest: descending });
      const shape = replaced(from.shape, axis, count);
      expect(plain(first.values)).toEqual(made(shape, (at) => element(values, at)));
      expect(plain(first.indices)).toEqual(made(shape, (at) => element(places, at)));
    });
  });

  test("what is not a number comes last, in both orders", () => {
    const x = tensor([2, Number.NaN, Infinity, -Infinity]);
    expect(sort(x).toArray()).toEqual([-Infinity, 2, Infinity, Number.NaN]);
    expect(sort(x, { descending: true }).toArray()).toEqual([Infinity, 2, -Infinity, Number.NaN]);
  });
});

test("gradients go back to where elements came from", () => {
  const index = tensor(Int32Array.of(2, 0, 2));
  const weights = tensor([1, 10, 100]);
  const cases: [want: number[], loss: (x: Tensor) => Tensor][] = [
    [
      [10, 20, 30],
      (x) =>
        concat([x, x.mul(2)])
          .pow(2)
          .sum(),
    ],
    [[2, 4, 6], (x) => pad(x, 2, 3).pow(2).sum()],
    [[2, 0, 12], (x) => gather(x, 0, index).pow(2).sum()],
    [
      [2, 4, 0],
      (x) =>
        x
          .at([0, 0, 1])
          .mul(tensor([1, 1, 4]))
          .sum(),
    ],
    [[100, 10, 1], (x) => sort(x, { descending: true }).mul(weights).sum()],
    [[0, 0, 1], (x) => topk(x, 1).values.sum()],
    [[0, 11, 10], (x) => scatter(x, { axis: 0, index, source: x.mul(10) }).sum()],
    [[11, 11, 11], (x) => scatterAdd(x, { axis: 0, index, source: x.mul(10) }).sum()],
    [[3, 12, 27], (x) => einsum("i,i,i->", x, x, x)],
  ];
  for (const [want, loss] of cases) {
    expect(grad(loss)(tensor([1, 2, 3]))[0]!.toArray()).toEqual(want);
  }
});

describe("in place", () => {
  test("add_, sub_, mul_ and div_ write to the tensor and its views, in its dtype", () => {
    const x = tensor([1, 2, 3, 4], { dtype: "f16" });
    const view = x.at("::2");
    x.add_(1);
    view.mul_(tensor([10, 20]));
    x.sub_(tensor([0.5], { dtype: "f64" })).div_(2);
    expect([x.dtype, ...plain(x).data]).toEqual(["f16", 9.75, 1.25, 39.75, 2.25]);
    expect(view.toArray()).toEqual([9.75, 39.75]);
    x.at(":2").add_(x.at("1:3"));
    expect(x.toArray()).toEqual([11, 41, 39.75, 2.25]);
  });

  test("a result that the tensor cannot hold is refused", () => {
    const x = tensor(new Int32Array(2));
    throwsCode("tensor/bad-dtype", () => x.add_(0.5));
    throwsCode("tensor/bad-dtype", () => x.div_(2));
    throwsCode("tensor/bad-dtype", () => tensor([true]).add_(1));
    throwsCode("tensor/shape-mismatch", () => x.add_(tensor([[1], [2]]).to("i32")));
    expect(x.add_(1).toArray()).toEqual([1, 1]);
  });
});

test("indices that name nothing are refused: lists at once, tensors when they are read", () => {
  const x = tensor([
    [1, 2],
    [3, 4],
  ]);
  const [far, floats] = [tensor(Int32Array.of(0, 2)), tensor([0])];
  throwsCode("tensor/index-out-of-range", () => x.at([0, 2]));
  throwsCode("tensor/index-out-of-range", () => x.at([0.5]));
  throwsCode("tensor/index-out-of-range", () => take(x, [-3]));
  throwsCode("tensor/bad-dtype", () => take(x, floats));
  throwsCode("tensor/bad-dtype", () => take(x, floats.gt(0)));
  throwsCode("tensor/bad-index", () => x.at([0], [0], [0]));
  throwsCode("tensor/bad-index", () => x.mask(tensor([true])));
  throwsCode("tensor/shape-mismatch", () => x.at([0, 1], [0, 1, 0]));
  throwsCode("native/run-failed", () => x.at(far).toArray());
  throwsCode("native/run-failed", () => x.at(far, [0, 0]).toArray());
  throwsCode("native/run-failed", () => gather(x, 1, far.reshape(1, 2)).toArray());
  const options = { axis: 0, index: far.reshape(2, 1), source: zeros([2, 1]) };
  throwsCode("native/run-failed", () => scatter(x, options).toArray());
  throwsCode("native/run-failed", () => scatterAdd(x, options).toArray());
  throwsCode("tensor/shape-mismatch", () => gather(x, 0, far));
  throwsCode("tensor/shape-mismatch", () => gather(x, 0, zeros([1, 3], { dtype: "i32" })));
  throwsCode("tensor/shape-mismatch", () => scatter(x, { ...options, source: zeros([3, 1]) }));
  throwsCode("tensor/index-out-of-range", () => topk(x, 3));
  throwsCode("tensor/axis-out-of-range", () => sort(x, { axis: 2 }));
  throwsCode("tensor/axis-out-of-range", () => take(x, [0], 2));
});
