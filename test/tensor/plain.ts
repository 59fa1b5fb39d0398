/** The plainest arrays: a shape and its elements row by row, read and made by index lists. */
import { type DType, type NestedArray, type Tensor, tensor } from "../../src/tensor/index.ts";

export interface Plain {
  shape: number[];
  data: (number | boolean)[];
}

/** Numbers from a seed (xorshift). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2654435761) >>> 0 || 1;
  }

  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return low + ((this.#state >>> 0) % (high - low + 1));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.whole(0, choices.length - 1)]!;
  }
}

export const anyDType: readonly DType[] = ["f32", "f16", "bf16", "f64", "i32", "i8", "u8", "bool"];

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** A tensor of small whole numbers, seen through a view half of the time. */
export function someTensor(dice: Dice, shape: readonly number[], dtype: DType = "f32"): Tensor {
  const range = dtype === "u8" ? [0, 100] : dtype === "bool" ? [0, 1] : [-50, 50];
  const from = (own: readonly number[]) =>
    tensor(
      Float32Array.from({ length: sizeOf(own) }, () => dice.whole(range[0]!, range[1]!)),
      { shape: own },
    ).to(dtype);
  switch (shape.length === 0 ? 0 : dice.whole(0, 5)) {
    case 1:
      return from([...shape].reverse()).permute();
    case 2:
      return from(shape.map((extent) => extent + 2)).at(...shape.map((n) => `1:${n + 1}`));
    case 3:
      return from(shape.map((extent) => 2 * extent)).at(...shape.map(() => "::-2"));
    default:
      return from(shape);
  }
}

export function plain(x: Tensor): Plain {
  const data = ([x.toArray()] as NestedArray[]).flat(8) as (number | boolean)[];
  return { shape: [...x.shape], data };
}

/** Of every index list the element that `at` says. */
export function made(shape: number[], at: (index: number[]) => number | boolean): Plain {
  const data = Array.from({ length: sizeOf(shape) }, (_, flat) => at(unflat(flat, shape)));
  return { shape, data };
}

export function element({ shape, data }: Plain, index: readonly number[]): number | boolean {
  return data[flatOf(shape, index)]!;
}

export function flatOf(shape: readonly number[], index: readonly number[]): number {
  return index.reduce((sum, own, axis) => sum * shape[axis]! + own, 0);
}

export function unflat(flat: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  let rest = flat;
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    index.unshift(rest % shape[axis]!);
    rest = Math.floor(rest / shape[axis]!);
  }
  return index;
}

/** The list with one entry changed. */
export function replaced(index: readonly number[], axis: number, by: number): number[] {
  return index.map((own, at) => (at === axis ? by : own));
}

export function someShape(dice: Dice, rank: number, low = 1): number[] {
  return Array.from({ length: rank }, () => dice.whole(low, 4));
}
