/**
 * Gradients of functions of tensors. The function records as it always does; the backward pass is
 * recorded behind it and runs with it. Gradients of gradients work the same way.
 */
import { BitNetError } from "../errors/index.ts";
import { gradients, isFloat, type Storage, setCustomGradient, Value } from "../graph/index.ts";
import { computeDType, type DType } from "./dtypes.ts";
import { cast } from "./elementwise.ts";
import { contiguous } from "./movement.ts";
import { pending } from "./pending.ts";
import { formatShape, sameShape, shapeOf, sizeOf } from "./shapes.ts";
import { isNested, taping } from "./tape.ts";
import { Tensor } from "./tensor.ts";

/** A function of tensors to a tensor of one element. */
export type Loss = (...inputs: Tensor[]) => Tensor;

export interface GradOptions {
  /** Which inputs the gradient is of, by index; all by default. */
  of?: readonly number[];
}

export interface ValueAndGradients {
  value: Tensor;
  /** One for each wanted input, in its shape. */
  gradients: Tensor[];
}

/**
 * The function's value and its gradients.
 *
 * @example
 * ```ts
 * const step = valueAndGrad((w, b) => x.matmul(w).add(b).sub(y).pow(2).mean());
 * const { value, gradients: [dw, db] } = step(w, b);
 * ```
 * @throws BitNetError `tensor/not-a-scalar` for a value of more than one element,
 * `tensor/bad-dtype` for an input of integers, `graph/no-gradient` for an op without one
 */
export function valueAndGrad(
  loss: Loss,
  { of }: GradOptions = {},
): (...inputs: Tensor[]) => ValueAndGradients {
  return (...inputs) =>
    taping(() => {
      const wanted = of ?? inputs.map((_, index) => index);
      const leaves = new Map(wanted.map((index) => [index, leafOf(inputs[index]!)]));
      const given = inputs.map((input, index) => {
        const leaf = leaves.get(index);
        return leaf ? new Tensor(leaf) : input;
      });
      const value = loss(...given);
      const y = scalarOf(value);
      const ones = pending.number(1, computeDType(y.dtype as DType)).broadcast(y.dims);
      const of_ = [...leaves.values()];
      const found = gradients(y, {
        of: of_,
        seed: pending.apply("copy", [ones])[0]!,
        recorder: pending,
      });
      const made = found.map((gradient, index) => gradientOf(of_[index]!, gradient));
      // Together, so that what both need is computed once.
      for (const { storage } of [y, ...made]) pending.keep(storage);
      return { value, gradients: made.map((gradient) => new Tensor(gradient)) };
    });
}

/** The gradients alone; of a function of one tensor, its one gradient is the first. */
export function grad(loss: Loss, options?: GradOptions): (...inputs: Tensor[]) => Tensor[] {
  const both = valueAndGrad(loss, options);
  return (...inputs) => both(...inputs).gradients;
}

/** The value, of which no gradient goes further back. */
export function stopGradient(x: Tensor): Tensor {
  return customGradient(x, { inputs: [], rule: () => [] });
}

export interface TensorGradient {
  /** What the gradient goes on to. */
  inputs: readonly Tensor[];
  /** From the gradient of the value to those of the inputs, in their shapes. */
  rule: (gradient: Tensor) => readonly (Tensor | undefined)[];
}

/**
 * The value with a gradient of its own making, whatever it was made by: straight-through
 * estimators, for one.
 *
 * @example
 * ```ts
 * const q = customGradient(x.round(), { inputs: [x], rule: (gradient) => [gradient] });
 * ```
 */
export function customGradient(value: Tensor, { inputs, rule }: TensorGradient): Tensor {
  const [y] = pending.apply("copy", [value.value]);
  setCustomGradient(y!.storage.producer!, {
    inputs: inputs.map((input) => input.value),
    rule: (gradient) => {
      const made = rule(new Tensor(gradient));
      return inputs.map((input, index) => made[index] && shapedAs(made[index], input));
    },
  });
  return new Tensor(y!);
}

function shapedAs(gradient: Tensor, input: Tensor): Value {
  const { value } = gradient;
  if (sameShape(gradient.shape, input.shape) && isFloat(value.dtype)) return value;
  throw new BitNetError(
    isFloat(value.dtype) ? "tensor/shape-mismatch" : "tensor/bad-dtype",
    `a custom gradient ${formatShape(gradient.shape)} of ${value.dtype} for an input ` +
      `${formatShape(input.shape)}: want floats of its shape`,
  );
}

/** A value like the input at which the way back ends. */
function leafOf(input: Tensor): Value {
  const { value } = input;
  if (!isFloat(value.dtype)) {
    throw new BitNetError(
      "tensor/bad-dtype",
      `a gradient for a tensor of ${value.dtype}: want f32, f64, f16 or bf16`,
    );
  }
  // Within an outer gradient the way goes on behind the leaf: a copy has an instruction. What a
  // compiled function is given has no memory while it is recorded.
  if (isNested() || !value.storage.region) return pending.apply("copy", [value])[0]!;
  const row = contiguous(value);
  if (!row.storage.region) return row;
  // What is still to be written there would not be seen through another storage.
  pending.require(row.storage);
  const { kind, name, size, region, base } = row.storage;
  row.storage.borrowed = true;
  const storage: Storage = { kind, name, size, region, base, borrowed: true };
  return new Value({ storage, dtype: row.dtype, dims: row.dims, offset: row.offset });
}

function scalarOf({ value }: Tensor): Value {
  const shape = shapeOf(value);
  if (sizeOf(shape) === 1 && isFloat(value.dtype)) return value;
  throw new BitNetError(
    "tensor/not-a-scalar",
    `a gradient of a tensor ${formatShape(shape)} of ${value.dtype}: want one float; take a sum ` +
      "or a mean first",
  );
}

function gradientOf(leaf: Value, gradient: Value | undefined): Value {
  if (gradient) return contiguous(cast(gradient, leaf.dtype as DType));
  const zero = pending.number(0, computeDType(leaf.dtype as DType)).broadcast(leaf.dims);
  return cast(pending.apply("copy", [zero])[0]!, leaf.dtype as DType);
}
