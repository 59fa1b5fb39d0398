/** The methods that reduce axes, or run along one: sums, extremes, moments. */
import { ArithmeticMethods } from "./arithmetic-methods.ts";
import { cast, unary } from "./elementwise.ts";
import { type NormOptions, norm } from "./norms.ts";
import {
  cumulativeSum,
  indexOfExtreme,
  logSumExp,
  mean,
  type ReduceOptions,
  reduced,
  type VarianceOptions,
  variance,
} from "./reductions.ts";

export abstract class ReductionMethods extends ArithmeticMethods {
  /** Over all axes, or those named; integers count in i32. */
  sum(options?: ReduceOptions): this {
    return this.made(reduced("reduce_sum", this.value, options));
  }

  prod(options?: ReduceOptions): this {
    return this.made(reduced("reduce_product", this.value, options));
  }

  max(options?: ReduceOptions): this {
    return this.made(reduced("reduce_max", this.value, options));
  }

  min(options?: ReduceOptions): this {
    return this.made(reduced("reduce_min", this.value, options));
  }

  mean(options?: ReduceOptions): this {
    return this.made(mean(this.value, options));
  }

  /** The mean square distance from the mean; `correction: 1` for that of a sample. */
  var(options?: VarianceOptions): this {
    return this.made(variance(this.value, options));
  }

  std(options?: VarianceOptions): this {
    return this.made(unary("sqrt", variance(this.value, options)));
  }

  /** The root of the sum of squares, or of another order; see `NormOptions`. */
  norm(options?: NormOptions): this {
    return this.made(norm(this.value, options));
  }

  logSumExp(options?: ReduceOptions): this {
    return this.made(logSumExp(this.value, options));
  }

  /** Whether any element is not 0. */
  any(options?: ReduceOptions): this {
    return this.made(cast(reduced("reduce_max", cast(this.ne(0).value, "i32"), options), "bool"));
  }

  /** Whether no element is 0. */
  all(options?: ReduceOptions): this {
    return this.made(cast(reduced("reduce_min", cast(this.ne(0).value, "i32"), options), "bool"));
  }

  /** Where the largest element is: the first of equals. */
  argmax(axis?: number): this {
    return this.made(indexOfExtreme("arg_max", this.value, axis));
  }

  argmin(axis?: number): this {
    return this.made(indexOfExtreme("arg_min", this.value, axis));
  }

  /** Running sums along an axis. */
  cumsum(axis: number): this {
    return this.made(cumulativeSum(this.value, axis));
  }
}
