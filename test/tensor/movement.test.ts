/** Views against the plainest reference: elements gathered one by one by their indices. */
import { describe, expect, test } from "bun:test";
import { type Index, type NestedArray, type Tensor, tensor } from "../../src/tensor/index.ts";
import { throwsCode } from "./throws-code.ts";

/** 0, 1, 2, ... in this shape. */
function counting(...shape: number[]): Tensor {
  const count = shape.reduce((product, extent) => product * extent, 1);
  return tensor(
    Float32Array.from({ length: count }, (_, index) => index),
    { shape },
  );
}

describe("views", () => {
  test("permute and transpose read by exchanged indices", () => {
    const x = counting(2, 3, 4);
    const y = x.permute(2, 0, 1);
    expect(y.shape).toEqual([4, 2, 3]);
    expect(y.at(3, 1, 2).item()).toBe(1 * 12 + 2 * 4 + 3);
    expect(x.transpose().at(1, 3, 2).item()).toBe(12 + 2 * 4 + 3);
    expect(x.permute().shape).toEqual([4, 3, 2]);
  });

  test("reshape keeps the order of elements for every view it is taken of", () => {
    const views = [
      counting(6, 4),
      counting(6, 4).transpose(),
      counting(6, 4).at("::2"),
      counting(6, 4).at(":", "::-1"),
      counting(6, 1, 4).expand(6, 3, 4),
      counting(6, 4).at("1:4", "1:3"),
      counting(2, 3, 4).permute(1, 0, 2),
      counting(1, 6, 1, 4),
    ];
    for (const view of views) {
      const flat = (view.toArray() as NestedArray[]).flat(5) as number[];
      const half = flat.length / 2;
      for (const shape of [[-1], [2, -1], [half, 2], [1, -1, 1, 2], [half, 1, 2]]) {
        const shaped = view.reshape(...shape);
        expect((shaped.toArray() as NestedArray[]).flat(5)).toEqual(flat);
      }
    }
  });

  test("reshape shares memory where it can", () => {
    const x = counting(2, 6);
    x.reshape(3, 4).at(2, 3).assign(-1);
    expect(x.at(1, 5).item()).toBe(-1);
    x.transpose().reshape(12).at(0).assign(100);
    expect(x.at(0, 0).item()).toBe(0);
  });

  const cases: [Index[], NestedArray][] = [
    [[1], [4, 5, 6, 7]],
    [[-1, -1], 11],
    [
      ["1:", "::2"],
      [
        [4, 6],
        [8, 10],
      ],
    ],
    [
      ["::-1", 0],
      [8, 4, 0],
    ],
    [
      ["...", 1],
      [1, 5, 9],
    ],
    [[0, null, "2:"], [[2, 3]]],
    [["5:", ":"], []],
    [
      [":", "-3:-1"],
      [
        [1, 2],
        [5, 6],
        [9, 10],
      ],
    ],
    [
      [0, "10:1:-1"],
      [3, 2],
    ],
  ];
  for (const [indices, want] of cases) {
    test(`[${indices.map(String).join(", ")}] takes what NumPy takes`, () => {
      expect(
        counting(3, 4)
          .at(...indices)
          .toArray(),
      ).toEqual(want);
    });
  }

  test("squeeze, unsqueeze and expand change extents of one", () => {
    const x = counting(1, 3, 1);
    expect(x.squeeze().shape).toEqual([3]);
    expect(x.squeeze(0).shape).toEqual([3, 1]);
    expect(x.unsqueeze(-1).shape).toEqual([1, 3, 1, 1]);
    expect(x.expand(2, 3, 2).toArray()).toEqual([
      [
        [0, 0],
        [1, 1],
        [2, 2],
      ],
      [
        [0, 0],
        [1, 1],
        [2, 2],
      ],
    ]);
  });

  test("what does not fit is refused by name", () => {
    const x = counting(3, 4);
    throwsCode("tensor/shape-mismatch", () => x.reshape(5, 2));
    throwsCode("tensor/shape-mismatch", () => x.reshape(-1, -1));
    throwsCode("tensor/shape-mismatch", () => x.expand(3, 5));
    throwsCode("tensor/shape-mismatch", () => x.squeeze(0));
    throwsCode("tensor/axis-out-of-range", () => x.permute(0, 0));
    throwsCode("tensor/axis-out-of-range", () => x.permute(0));
    throwsCode("tensor/index-out-of-range", () => x.at(3));
    throwsCode("tensor/index-out-of-range", () => x.at(0.5));
    throwsCode("tensor/bad-index", () => x.at(0, 0, 0));
    throwsCode("tensor/bad-index", () => x.at("1:2:0"));
    throwsCode("tensor/bad-index", () => x.at("a"));
    throwsCode("tensor/bad-shape", () =>
      x.unsqueeze(0).unsqueeze(0).unsqueeze(0).unsqueeze(0).unsqueeze(0),
    );
  });
});
