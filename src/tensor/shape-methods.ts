/** The methods that see the same memory by another shape or a part of it, and `clone`. */
import type { Value } from "../graph/index.ts";
import { TensorHandle } from "./handle.ts";
import { indexed, type ValueIndex } from "./indexing.ts";
import { expand, permute, reshape, squeeze, unsqueeze, viewed } from "./movement.ts";
import { clonePacked, isPacked } from "./packed.ts";
import { pending } from "./pending.ts";
import { ReductionMethods } from "./reduction-methods.ts";

/**
 * One place of an index: an element, a range "start:stop:step", "..." for the axes between, null
 * for a new axis, a list or tensor of whole numbers, or a tensor of bools.
 */
export type IndexBy<T> = Exclude<ValueIndex, Value> | T;

export abstract class ShapeMethods extends ReductionMethods {
  /** The same elements by other extents, one of which may be -1; a view where that can be. */
  reshape(...shape: number[]): this {
    return this.alias(reshape(this.value, shape));
  }

  /**
   * `reshape` that never copies.
   * @throws BitNetError `tensor/needs-copy` where the elements do not lie so
   */
  view(...shape: number[]): this {
    return this.alias(viewed(this.value, shape));
  }

  /** Axes in another order, reversed by default; a view. */
  permute(...axes: number[]): this {
    return this.alias(permute(this.value, axes.length > 0 ? axes : reversed(this.rank)));
  }

  /** Two axes in each other's place, the last two by default; a view. */
  transpose(first = -2, second = -1): this {
    const axes = Array.from({ length: this.rank }, (_, axis) => axis);
    const [a, b] = [axes.at(first), axes.at(second)];
    if (a === undefined || b === undefined) return this.permute(first, second);
    [axes[a], axes[b]] = [b, a];
    return this.permute(...axes);
  }

  /** Without axes of one element; a view. */
  squeeze(axes?: number | readonly number[]): this {
    return this.alias(squeeze(this.value, axes));
  }

  /** With a new axis of one element at this place; a view. */
  unsqueeze(axis: number): this {
    return this.alias(unsqueeze(this.value, axis));
  }

  /** Repeated to a larger shape; a view. */
  expand(...shape: number[]): this {
    return this.alias(expand(this.value, shape));
  }

  /**
   * A part, as NumPy's `x[...]`: `x.at(0)`, `x.at("1:3", "::-1")`, `x.at("...", null, -1)`; a view.
   * Lists, tensors of whole numbers and masks copy: `x.at([2, 0])`, `x.at(x.gt(0))`. A mask is
   * computed at once, since the result's shape depends on it.
   * @throws BitNetError `tensor/index-out-of-range`, `tensor/bad-index`, `tensor/bad-dtype`
   */
  at(...indices: IndexBy<this>[]): this {
    const places = indices.map((one) => (one instanceof TensorHandle ? one.value : one));
    return this.alias(indexed(this.value, places));
  }

  /** The elements (or slices) for which a tensor of bools is true, as `at`. */
  mask(condition: this): this {
    return this.at(condition);
  }

  /** A copy in memory of its own. */
  clone(): this {
    if (isPacked(this.stored)) return this.made(clonePacked(this.stored));
    return this.made(pending.apply("copy", [this.value])[0]!);
  }
}

function reversed(rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
}
