/**
 * Gradients of what moves, picks and sums elements. The largest (or smallest) of several equals
 * share theirs; of a product with zeros each factor has the product of the others.
 */
import type { OpName } from "../../native/index.ts";
import { elementSizes, Value } from "../value.ts";
import { type GradientRule, none } from "./rule.ts";
import { alongLast, reshaped } from "./value-maths.ts";

/** Shared among all elements that are the extreme. */
const extreme: GradientRule = ({ node, g, y, on }) => {
  const x = node.inputs[0]!;
  const axes = Number(node.attrs.axes);
  const share = on.cast(on.binary("equal", x, alongLast(y, x.dims)), x.dtype);
  const each = on.div(g, on.sumLast(share, axes));
  return [on.mul(share, alongLast(each, x.dims))];
};

/**
 * y / x where no factor is 0; beside one zero only the zero itself has a gradient, the product of
 * the others; beside two nothing has. (As a rule for second derivatives it holds without zeros.)
 */
const product: GradientRule = ({ node, g, on }) => {
  const x = node.inputs[0]!;
  const axes = Number(node.attrs.axes);
  const over = (value: Value): Value => alongLast(value, x.dims);
  const isZero = on.binary("equal", x, 0);
  const zero = on.number(0, x);
  const nonzero = on.where(isZero, on.number(1, x), x);
  const count = on.sumLast(on.cast(isZero, x.dtype), axes);
  const rest = on.one("reduce_product", [nonzero], { attrs: { axes } });
  const isWhole = over(on.binary("equal", count, 0));
  const isAlone = over(on.binary("equal", count, 1));
  const slope = on.where(
    isZero,
    on.where(isAlone, over(rest), zero),
    on.where(isWhole, on.div(over(rest), nonzero), zero),
  );
  return [on.mul(over(g), slope)];
};

/** Back to where the elements stood along the last axis. */
const sort: GradientRule = ({ node, g, on }) => {
  const [values, places] = node.outputs as [Value, Value];
  const dims = values.dims as number[];
  const width = dims.at(-1)!;
  const count = dims.reduce((all, extent) => all * extent, 1);
  if (count === 0) return [g];
  const rows = count / width;
  const ones = on.recorder.number(1, "i32").broadcast([rows]);
  const starts = on.mul(on.sub(on.unary("cumulative_sum", ones), 1), width);
  const flat = on.add(reshaped(places, [rows, width]), alongLast(starts, [rows, width]));
  const into = on.number(0, g).view({ dims: [count], strides: [0] });
  const sum = on.one("scatter_add", [into, reshaped(flat, [count]), reshaped(g, [count])]);
  return [reshaped(sum, dims)];
};

/** An axis read from its end. */
function backwards(x: Value): Value {
  const last = x.dims.length - 1;
  const count = x.dims[last] as number;
  if (count === 0) return x;
  const stride = x.strides[last]!;
  return x.view({
    dims: x.dims,
    strides: [...x.strides.slice(0, last), -stride],
    offset: x.offset + (count - 1) * stride * elementSizes[x.dtype],
  });
}

const place = none("it makes the place of an element, a whole number");

export const movementGradients = {
  copy: ({ g }) => [g],
  reduce_sum: ({ node, g }) => [alongLast(g, node.inputs[0]!.dims)],
  reduce_product: product,
  reduce_max: extreme,
  reduce_min: extreme,
  arg_max: place,
  arg_min: place,
  cumulative_sum: ({ g, on }) => [backwards(on.unary("cumulative_sum", backwards(g)))],
  take: ({ node, g, on }) => {
    const [x, index] = node.inputs as [Value, Value];
    return [on.one("scatter_add", [on.zeros(x), index, g])];
  },
  scatter_add: ({ node, g, on }) => [g, undefined, () => on.one("take", [g, node.inputs[1]!])],
  place: ({ node, g }) => {
    const { dims } = node.inputs[0]!;
    const strides = dims.map((_, axis) => Number(node.attrs[`stride_${axis}`]));
    const offset = g.offset + Number(node.attrs.offset) * elementSizes[g.dtype];
    return [new Value({ storage: g.storage, dtype: g.dtype, dims, strides, offset })];
  },
  concat: ({ node, g }) => {
    const axis = Number(node.attrs.axis);
    let start = 0;
    return node.inputs.map(({ dims }) => {
      const part = g.slice(axis, start, dims[axis]!);
      start += dims[axis] as number;
      return part;
    });
  },
  sort,
} satisfies Partial<Record<OpName, GradientRule | ReturnType<typeof none>>>;
