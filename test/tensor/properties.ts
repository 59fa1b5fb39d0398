/**
 * What every op must hold on random tensors: one entry an op, so that an op without one does not
 * compile. An entry checks one drawn case against plain numbers, or names the file that does where
 * tensors do not record the op.
 */
import type { OpName } from "../../src/native/index.ts";
import {
  argsort,
  concat,
  type DType,
  pad,
  scatterAdd,
  sort,
  type Tensor,
  take,
  where,
} from "../../src/tensor/index.ts";
import { type Draw, type DrawOptions, roundHalfEven, stored } from "./drawn.ts";
import { expectPlain } from "./expect-plain.ts";
import { layerProperties } from "./layer-properties.ts";
import { flatOf, made, type Plain, sizeOf } from "./plain.ts";
import * as plain from "./plain-functions.ts";

export type Property = (draw: Draw) => void;

/** Where an op that tensors do not record is held to plain numbers. */
export interface Elsewhere {
  file: string;
}

/** Numbers between which functions stay tame; not a number and infinities are drawn beside them. */
const tame: DrawOptions = { range: [-8, 8] };

function floatOr(dtype: DType, otherwise: DType): DType {
  return ["f32", "f64", "f16", "bf16"].includes(dtype) ? dtype : otherwise;
}

interface UnaryOptions extends DrawOptions {
  units?: number;
  keepsIntegers?: boolean;
}

/** A function of each element; integers become f32 unless it keeps them. */
function unary(
  run: (x: Tensor) => Tensor,
  of: (x: number) => number,
  { units = 0, keepsIntegers = false, ...options }: UnaryOptions = {},
): Property {
  return (draw) => {
    const { x, p } = draw.tensor(draw.shape(), options);
    const dtype = keepsIntegers ? draw.dtype : floatOr(draw.dtype, "f32");
    const data = p.data.map((element) => of(Number(element)));
    expectPlain(run(x), { shape: p.shape, data }, { dtype, units });
  };
}

/** The other operand has the same dtype half of the time. */
function others(draw: Draw): DType {
  const all: DType[] = ["f32", "f64", "f16", "bf16", "i32", "i8", "u8", "bool"];
  return draw.dice.whole(0, 1) === 0 ? draw.dtype : draw.dice.pick(all);
}

function isInteger(dtype: DType): boolean {
  return floatOr(dtype, "i32") === "i32";
}

interface BinaryOptions {
  units?: number;
  range?: readonly [number, number];
  /** The dtype of the result from that of both operands. */
  result?: (dtype: DType) => DType;
}

function binary(
  run: (a: Tensor, b: Tensor) => Tensor,
  of: (a: number, b: number, dtype: DType) => number,
  { units = 0, range, result = (dtype) => dtype }: BinaryOptions = {},
): Property {
  return (draw) => {
    const [left, right] = draw.pair();
    const options = range ? { range } : {};
    const a = draw.tensor(left, options);
    const b = draw.tensor(right, { ...options, dtype: others(draw) });
    const dtype = plain.common(draw.dtype, b.x.elementDType);
    const want = made(plain.broadcastShape([a.p.shape, b.p.shape]), (index) =>
      of(plain.broadcastAt(a.p, index), plain.broadcastAt(b.p, index), dtype),
    );
    expectPlain(run(a.x, b.x), want, { dtype: result(dtype), units });
  };
}

/** Integers wrap in 32 bits, floats do not. */
function wrapping(of: (a: number, b: number) => number) {
  return (a: number, b: number, dtype: DType): number =>
    isInteger(dtype) ? of(a, b) | 0 : of(a, b);
}

function comparison(
  run: (a: Tensor, b: Tensor) => Tensor,
  of: (a: number, b: number) => boolean,
): Property {
  return binary(run, (a, b) => Number(of(a, b)), { result: () => "bool" });
}

function someAxes(draw: Draw, rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis).filter(() => draw.dice.whole(0, 1) === 1);
}

/** Reduces some axes; integers give i32. */
function reduction(
  run: (x: Tensor, options: { axes: number[]; keepDims: boolean }) => Tensor,
  of: (list: number[], dtype: DType) => number,
  options: DrawOptions & { units?: number } = {},
): Property {
  return (draw) => {
    const { x, p } = draw.tensor(draw.shape(), options);
    const axes = someAxes(draw, p.shape.length);
    const keepDims = draw.dice.whole(0, 1) === 1;
    const dtype = floatOr(draw.dtype, "i32");
    const data = [...plain.groups(p, axes).values()].map((list) => of(list, dtype));
    const kept = p.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
    const shape = keepDims ? kept : kept.filter((_, axis) => !axes.includes(axis));
    const units = options.units ?? 0;
    expectPlain(run(x, { axes, keepDims }), { shape, data }, { dtype, units });
  };
}

/** The place of the first extreme along an axis, or of all; what is not a number is one. */
function extremePlace(
  run: (x: Tensor, axis?: number) => Tensor,
  isBetter: (a: number, b: number) => boolean,
): Property {
  return (draw) => {
    const { x, p } = draw.tensor(draw.shape());
    if (sizeOf(p.shape) === 0) return;
    const axis = p.shape.length > 0 && draw.dice.whole(0, 1) === 1 ? 0 : undefined;
    const axes = axis === undefined ? p.shape.map((_, at) => at) : [axis];
    const data = [...plain.groups(p, axes).values()].map((list) => {
      const nan = list.findIndex(Number.isNaN);
      if (nan >= 0) return nan;
      return list.reduce((best, value, at) => (isBetter(value, list[best]!) ? at : best), 0);
    });
    const shape = axis === undefined ? [] : p.shape.slice(1);
    expectPlain(run(x, axis), { shape, data }, { dtype: "i32" });
  };
}

const sorting: Property = (draw) => {
  const { x, p } = draw.tensor(draw.shape(1));
  const axis = draw.dice.whole(0, p.shape.length - 1);
  const descending = draw.dice.whole(0, 1) === 1;
  const sign = descending ? -1 : 1;
  const sortedBy = (list: number[]): number[] =>
    list
      .map((_, at) => at)
      .sort((a, b) => {
        const [left, right] = [list[a]!, list[b]!];
        if (Number.isNaN(left) || Number.isNaN(right)) {
          return Number(Number.isNaN(left)) - Number(Number.isNaN(right)) || a - b;
        }
        return sign * (left - right || 0) || a - b;
      });
  const lists = plain.groups(p, [axis]);
  const at = (index: number[]): string => index.map((one, i) => (i === axis ? 0 : one)).join();
  const places = made(p.shape, (index) => sortedBy(lists.get(at(index))!)[index[axis]!]!);
  const values = made(p.shape, (index) => {
    const list = lists.get(at(index))!;
    return list[sortedBy(list)[index[axis]!]!]!;
  });
  expectPlain(sort(x, { axis, descending }), values, { dtype: draw.dtype });
  expectPlain(argsort(x, { axis, descending }), places, { dtype: "i32" });
};

const taking: Property = (draw) => {
  const { x, p } = draw.tensor(draw.shape(1));
  const axis = draw.dice.whole(0, p.shape.length - 1);
  const extent = p.shape[axis]!;
  if (extent === 0) return;
  const index = draw.index(draw.dice.pick([[], [3], [2, 2], [0]]), extent);
  const shape = [...p.shape.slice(0, axis), ...index.p.shape, ...p.shape.slice(axis + 1)];
  const want = made(shape, (to) => {
    const own = to.slice(axis, axis + index.p.shape.length);
    const place = Number(index.p.data[flatOf(index.p.shape, own)]);
    const from = [...to.slice(0, axis), place, ...to.slice(axis + index.p.shape.length)];
    from[axis] = (place + extent) % extent;
    return p.data[flatOf(p.shape, from)]!;
  });
  expectPlain(take(x, index.x, axis), want, { dtype: draw.dtype });
};

const adding: Property = (draw) => {
  const shape = [draw.dice.whole(1, 4), draw.dice.whole(0, 3)];
  const base = draw.tensor(shape, tame);
  const index = draw.index([draw.dice.whole(0, 5), shape[1]!], shape[0]!);
  const source = draw.tensor(index.p.shape, tame);
  const want: Plain = { shape, data: base.p.data.map(Number) };
  for (const [flat, [, column]] of plain.indices(index.p.shape).entries()) {
    const row = (Number(index.p.data[flat]) + shape[0]!) % shape[0]!;
    const at = flatOf(shape, [row, column!]);
    want.data[at] = Number(want.data[at]) + Number(source.p.data[flat]);
  }
  const got = scatterAdd(base.x, { axis: 0, index: index.x, source: source.x });
  expectPlain(got, want, { dtype: draw.dtype, units: 40 });
};

const padding: Property = (draw) => {
  const { x, p } = draw.tensor(draw.shape());
  const widths = p.shape.map((): [number, number] => [
    draw.dice.whole(0, 2),
    draw.dice.whole(0, 2),
  ]);
  const shape = p.shape.map((extent, axis) => extent + widths[axis]![0] + widths[axis]![1]);
  const want = made(shape, (index) => {
    const from = index.map((one, axis) => one - widths[axis]![0]);
    const isInside = from.every((one, axis) => one >= 0 && one < p.shape[axis]!);
    return isInside ? p.data[flatOf(p.shape, from)]! : 0;
  });
  expectPlain(pad(x, widths), want, { dtype: draw.dtype });
};

const joining: Property = (draw) => {
  const shape = draw.shape(1);
  const axis = draw.dice.whole(0, shape.length - 1);
  const parts = Array.from({ length: draw.dice.whole(1, 4) }, () => {
    const own = shape.map((extent, at) => (at === axis ? draw.dice.whole(0, 3) : extent));
    return draw.tensor(own);
  });
  const starts: number[] = [];
  let total = 0;
  for (const { p } of parts) {
    starts.push(total);
    total += p.shape[axis]!;
  }
  const whole = shape.map((extent, at) => (at === axis ? total : extent));
  const want = made(whole, (index) => {
    const which = parts.findIndex(({ p }, at) => index[axis]! < starts[at]! + p.shape[axis]!);
    const own = index.map((one, at) => (at === axis ? one - starts[which]! : one));
    return parts[which]!.p.data[flatOf(parts[which]!.p.shape, own)]!;
  });
  const got = concat(
    parts.map(({ x }) => x),
    axis,
  );
  expectPlain(got, want, { dtype: draw.dtype });
};

const casting: Property = (draw) => {
  const { x, p } = draw.tensor(draw.shape());
  const dtype = others(draw);
  expectPlain(x.to(dtype), { shape: p.shape, data: p.data }, { dtype });
  expectPlain(x.clone(), { shape: p.shape, data: p.data }, { dtype: draw.dtype });
};

const running: Property = (draw) => {
  const { x, p } = draw.tensor(draw.shape(1), tame);
  const axis = draw.dice.whole(0, p.shape.length - 1);
  const want = made(p.shape, (index) => {
    let sum = 0;
    for (let at = 0; at <= index[axis]!; at += 1) {
      const own = index.map((one, i) => (i === axis ? at : one));
      sum += Number(p.data[flatOf(p.shape, own)]);
    }
    return sum;
  });
  expectPlain(x.cumsum(axis), want, { dtype: floatOr(draw.dtype, "i32"), units: 40 });
};

const choosing: Property = (draw) => {
  const [left, right] = draw.pair();
  const [a, b] = [draw.tensor(left), draw.tensor(right, { dtype: others(draw) })];
  const condition = draw.tensor(left, { dtype: draw.dice.pick(["bool", "f32", "i8"]) });
  const shape = plain.broadcastShape([left, right]);
  const want = made(shape, (index) =>
    plain.broadcastAt(plain.broadcastAt(condition.p, index) !== 0 ? a.p : b.p, index),
  );
  const dtype = plain.common(draw.dtype, b.x.elementDType);
  expectPlain(where(condition.x, a.x, b.x), want, { dtype });
};

const multiplying: Property = (draw) => {
  const { dice } = draw;
  const [m, k, n] = [dice.whole(0, 5), dice.whole(0, 6), dice.whole(0, 5)];
  const batch = dice.pick([[], [2], [3, 1]]);
  const small = { range: [-4, 4] as const };
  const a = draw.tensor([...batch, m, k], small);
  const b = draw.tensor([...dice.pick([[], [1], [2]]), k, n], small);
  const batches = plain.broadcastShape([a.p.shape.slice(0, -2), b.p.shape.slice(0, -2)]);
  const at = (of: Plain, index: number[]): number => plain.broadcastAt(of, index);
  // Matrices are not broadcast: an axis of 1 among them is k, m or n itself.
  const want = made([...batches, m, n], (index) => {
    const [i, j] = index.slice(-2);
    let sum = 0;
    for (let step = 0; step < k; step += 1) {
      const outer = index.slice(0, -2);
      sum += at(a.p, [...outer, i!, step]) * at(b.p, [...outer, step, j!]);
    }
    return sum;
  });
  expectPlain(a.x.matmul(b.x), want, { dtype: draw.dtype, units: 60 });
};

const sumOf = (list: number[]): number => list.reduce((sum, one) => sum + one, 0);

export const properties: Record<OpName, Property | Elsewhere> = {
  ...layerProperties,
  copy: casting,
  add: binary(
    (a, b) => a.add(b),
    wrapping((a, b) => a + b),
  ),
  sub: binary(
    (a, b) => a.sub(b),
    wrapping((a, b) => a - b),
  ),
  mul: binary(
    (a, b) => a.mul(b),
    (a, b, dtype) => (isInteger(dtype) ? Math.imul(a, b) : a * b),
  ),
  div: binary(
    (a, b) => a.div(b),
    (a, b) => a / b,
    { result: (dtype) => floatOr(dtype, "f32") },
  ),
  power: binary(
    (a, b) => a.pow(b),
    (a, b, dtype) => plain.power(stored(a, dtype), stored(b, dtype)),
    { range: [0, 3], units: 4 },
  ),
  modulo: binary(
    (a, b) => a.mod(b),
    (a, b, dtype) => plain.modulo(stored(a, dtype), stored(b, dtype), isInteger(dtype)),
    { units: 1 },
  ),
  minimum: binary((a, b) => a.minimum(b), plain.smaller),
  maximum: binary((a, b) => a.maximum(b), plain.larger),
  equal: comparison(
    (a, b) => a.eq(b),
    (a, b) => a === b,
  ),
  not_equal: comparison(
    (a, b) => a.ne(b),
    (a, b) => a !== b,
  ),
  less: comparison(
    (a, b) => a.lt(b),
    (a, b) => a < b,
  ),
  less_equal: comparison(
    (a, b) => a.le(b),
    (a, b) => a <= b,
  ),
  neg: unary(
    (x) => x.neg(),
    (x) => -x,
    { keepsIntegers: true },
  ),
  abs: unary((x) => x.abs(), Math.abs, { keepsIntegers: true }),
  floor: unary((x) => x.floor(), Math.floor),
  ceil: unary((x) => x.ceil(), Math.ceil),
  round: unary(
    (x) => x.round(),
    (x) => (Number.isFinite(x) ? roundHalfEven(x) : x),
  ),
  sqrt: unary((x) => x.sqrt(), Math.sqrt),
  exp: unary((x) => x.exp(), Math.exp, { units: 1 }),
  log: unary((x) => x.log(), Math.log, { units: 1 }),
  sin: unary((x) => x.sin(), Math.sin, { ...tame, units: 1 }),
  cos: unary((x) => x.cos(), Math.cos, { ...tame, units: 1 }),
  tan: unary((x) => x.tan(), Math.tan, { ...tame, units: 10 }),
  asin: unary((x) => x.asin(), Math.asin, { units: 1 }),
  acos: unary((x) => x.acos(), Math.acos, { units: 1 }),
  atan: unary((x) => x.atan(), Math.atan, { units: 1 }),
  tanh: unary((x) => x.tanh(), Math.tanh, { units: 1 }),
  erf: unary((x) => x.erf(), plain.erf, { units: 1 }),
  sigmoid: unary(
    (x) => x.sigmoid(),
    (x) => 1 / (1 + Math.exp(-x)),
    { units: 1 },
  ),
  reduce_sum: reduction((x, options) => x.sum(options), sumOf, { ...tame, units: 40 }),
  reduce_product: reduction(
    (x, options) => x.prod(options),
    (list, dtype) =>
      list.reduce((product, one) => {
        return dtype === "i32" ? Math.imul(product, one) : product * one;
      }, 1),
    { range: [0.5, 2], units: 200 },
  ),
  reduce_max: reduction(
    (x, options) => x.max(options),
    (list) => list.reduce(plain.larger, -Infinity),
  ),
  reduce_min: reduction(
    (x, options) => x.min(options),
    (list) => list.reduce(plain.smaller, Infinity),
  ),
  select: choosing,
  arg_max: extremePlace(
    (x, axis) => x.argmax(axis),
    (a, b) => a > b,
  ),
  arg_min: extremePlace(
    (x, axis) => x.argmin(axis),
    (a, b) => a < b,
  ),
  cumulative_sum: running,
  take: taking,
  scatter_add: adding,
  place: padding,
  concat: joining,
  sort: sorting,
  matmul: multiplying,
};
