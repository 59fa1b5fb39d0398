/**
 * Tensors drawn from a seed: any shape, empty ones and single elements too, any dtype, seen through
 * views of every kind, with the numbers that go wrong most easily among the others. Beside each
 * stand its elements as plain numbers.
 */
import { type DType, full, type Tensor, tensor } from "../../src/tensor/index.ts";
import { Dice, type Plain, plain, sizeOf, someShape } from "./plain.ts";

const specials = [0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, 1e-30, 1e30, Infinity, -Infinity, NaN];
const integers = [0, 1, -1, 2, 127, -128, 255];

export interface Drawn {
  x: Tensor;
  p: Plain;
}

export interface DrawOptions {
  dtype?: DType;
  /** The numbers that elements are drawn between; without it specials are among them. */
  range?: readonly [number, number];
}

/** Random choices of one case. */
export class Draw {
  readonly dice: Dice;

  constructor(
    seed: number,
    readonly dtype: DType,
  ) {
    this.dice = new Dice(seed);
  }

  get isFloat(): boolean {
    return ["f32", "f64", "f16", "bf16"].includes(this.dtype);
  }

  /** Up to three axes, now and then one without elements. */
  shape(rankMin = 0): number[] {
    const shape = someShape(this.dice, this.dice.whole(rankMin, 3));
    if (shape.length > 0 && this.dice.whole(0, 9) === 0) shape[0] = 0;
    return shape;
  }

  /** Shapes that broadcast to one: axes of 1, or missing in front. */
  pair(): [number[], number[]] {
    const shape = this.shape();
    const thinned = (): number[] =>
      shape
        .map((extent) => (this.dice.whole(0, 2) === 0 ? 1 : extent))
        .slice(this.dice.whole(0, shape.length));
    return this.dice.whole(0, 1) === 0 ? [shape, thinned()] : [thinned(), shape];
  }

  tensor(shape: readonly number[], options: DrawOptions = {}): Drawn {
    const { dtype = this.dtype } = options;
    const numbers = (own: readonly number[]): Tensor =>
      tensor(
        Float64Array.from({ length: sizeOf(own) }, () => this.#number(dtype, options.range)),
        { shape: own },
      ).to(dtype);
    const x = this.#viewed(shape, numbers);
    return { x, p: plain(x) };
  }

  /** Whole numbers of an axis, from either end. */
  index(shape: readonly number[], extent: number): Drawn {
    const places = Int32Array.from({ length: sizeOf(shape) }, () =>
      this.dice.whole(-extent, extent - 1),
    );
    const x = tensor(places, { shape });
    return { x, p: plain(x) };
  }

  #number(dtype: DType, range?: readonly [number, number]): number {
    const { dice } = this;
    if (range) return range[0] + (dice.whole(0, 1 << 20) / (1 << 20)) * (range[1] - range[0]);
    if (!["f32", "f64", "f16", "bf16"].includes(dtype)) return dice.pick(integers);
    if (dice.whole(0, 4) === 0) return dice.pick(specials);
    return (dice.whole(-1000, 1000) / 1000) * dice.pick([0.1, 1, 8, 60]);
  }

  #viewed(shape: readonly number[], make: (shape: readonly number[]) => Tensor): Tensor {
    const whole = shape.map((extent) => `1:${extent + 1}`);
    switch (shape.length === 0 ? 0 : this.dice.whole(0, 6)) {
      case 1:
        return make([...shape].reverse()).permute();
      case 2:
        return make(shape.map((extent) => extent + 2)).at(...whole);
      case 3:
        return make(shape.map((extent) => 2 * extent)).at(...shape.map(() => "::-2"));
      case 4:
        return make(shape.map((extent, axis) => (axis === 0 ? 1 : extent))).expand(...shape);
      case 5:
        return make([...shape, 2]).at("...", this.dice.whole(0, 1));
      default:
        return make(shape);
    }
  }
}

const lowBits = new Uint32Array(1);
const lowFloat = new Float32Array(lowBits.buffer);

/** What a number becomes in a dtype. */
export function stored(x: number, dtype: DType): number {
  switch (dtype) {
    case "f64":
      return x;
    case "f32":
      return Math.fround(x);
    case "f16":
      return Float16Array.of(Math.fround(x))[0]!;
    case "bf16": {
      lowFloat[0] = x;
      if (!Number.isFinite(lowFloat[0])) return lowFloat[0];
      lowBits[0]! += 0x7fff + ((lowBits[0]! >>> 16) & 1);
      lowBits[0]! &= 0xffff0000;
      return lowFloat[0];
    }
    case "bool":
      return x === 0 ? 0 : 1;
    default: {
      const [low, high] = limits[dtype];
      return Number.isNaN(x) ? 0 : Math.min(high, Math.max(low, roundHalfEven(x))) + 0;
    }
  }
}

const limits = {
  i32: [-(2 ** 31), 2 ** 31 - 1],
  i8: [-128, 127],
  u8: [0, 255],
} as const;

export function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

/** A value by itself, for operations of a number. */
export function constant(value: number, dtype: DType): Tensor {
  return full([], value, { dtype });
}
