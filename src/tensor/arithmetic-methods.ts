/**
 * The methods that work element by element: arithmetic with broadcasting, comparisons, functions,
 * activations, casts. Each records; nothing runs.
 */

import { isFloat } from "../graph/index.ts";
import { clip, gelu, logSoftmax, relu, relu2, silu, softmax, softplus } from "./activations.ts";
import type { DType, PackedDType } from "./dtypes.ts";
import { binary, cast, compare, divide, power, select, unary } from "./elementwise.ts";
import { operand, TensorHandle } from "./handle.ts";
import { matmul } from "./matmul.ts";
import { packI4, packTernary, type TernaryOptions, ternaryCodes } from "./packed.ts";

/** The smallest and the largest that an element may be. */
export interface Bounds<T> {
  min?: T;
  max?: T;
}

export abstract class ArithmeticMethods extends TensorHandle {
  add(other: this | number): this {
    return this.made(binary("add", this.value, operand(other)));
  }

  sub(other: this | number): this {
    return this.made(binary("sub", this.value, operand(other)));
  }

  mul(other: this | number): this {
    return this.made(binary("mul", this.value, operand(other)));
  }

  /** True division: integers divide as f32. */
  div(other: this | number): this {
    return this.made(divide(this.value, operand(other)));
  }

  /** The remainder with the divisor's sign, as Python has it. */
  mod(other: this | number): this {
    return this.made(binary("modulo", this.value, operand(other)));
  }

  pow(exponent: this | number): this {
    return this.made(power(this.value, operand(exponent)));
  }

  /** The smaller of both, element by element; what is not a number is passed on. */
  minimum(other: this | number): this {
    return this.made(binary("minimum", this.value, operand(other)));
  }

  /** The larger of both, element by element; what is not a number is passed on. */
  maximum(other: this | number): this {
    return this.made(binary("maximum", this.value, operand(other)));
  }

  /** Within bounds, either of which may be left out. */
  clip({ min, max }: Bounds<this | number>): this {
    const bounds = {
      ...(min !== undefined && { min: operand(min) }),
      ...(max !== undefined && { max: operand(max) }),
    };
    return this.made(clip(this.value, bounds));
  }

  eq(other: this | number): this {
    return this.made(compare("equal", this.value, operand(other)));
  }

  ne(other: this | number): this {
    return this.made(compare("not_equal", this.value, operand(other)));
  }

  lt(other: this | number): this {
    return this.made(compare("less", this.value, operand(other)));
  }

  le(other: this | number): this {
    return this.made(compare("less_equal", this.value, operand(other)));
  }

  gt(other: this | number): this {
    return this.made(compare("less", operand(other), this.value));
  }

  ge(other: this | number): this {
    return this.made(compare("less_equal", operand(other), this.value));
  }

  /** This where the condition holds, else the other. */
  where(condition: this, other: this | number): this {
    return this.made(select(condition.value, this.value, operand(other)));
  }

  /** The product of matrices, the last two axes; the others broadcast. */
  matmul(other: this): this {
    return this.made(matmul(this.value, other.value));
  }

  /**
   * The same elements in another dtype: floats round half to even, also to integers, which stop at
   * their limits; what is not a number becomes 0, and any number but 0 is true.
   */
  to(dtype: DType | "i4"): this;
  /**
   * Ternary weights of a matrix (outputs, inputs): absmean's of floats, integers by their sign.
   * @throws BitNetError `tensor/bad-shape` for no matrix, or one that a packing cannot hold
   */
  to(dtype: "ternary", options?: TernaryOptions): this;
  to(dtype: DType | PackedDType, options?: TernaryOptions): this {
    const { stored } = this;
    if (dtype === this.dtype && dtype !== "ternary") return this.alias(stored);
    if (dtype === "i4") return this.made(packI4(this.value));
    if (dtype === "ternary") {
      return this.made(packTernary(this.dtype === "ternary" ? stored : this.value, options));
    }
    const isCodes = this.dtype === "ternary" && !isFloat(dtype);
    return this.made(cast(isCodes ? ternaryCodes(stored) : this.value, dtype));
  }

  neg(): this {
    return this.made(unary("neg", this.value));
  }

  abs(): this {
    return this.made(unary("abs", this.value));
  }

  floor(): this {
    return this.made(unary("floor", this.value));
  }

  ceil(): this {
    return this.made(unary("ceil", this.value));
  }

  /** To the nearest whole number, halves to the even one. */
  round(): this {
    return this.made(unary("round", this.value));
  }

  sqrt(): this {
    return this.made(unary("sqrt", this.value));
  }

  exp(): this {
    return this.made(unary("exp", this.value));
  }

  log(): this {
    return this.made(unary("log", this.value));
  }

  sin(): this {
    return this.made(unary("sin", this.value));
  }

  cos(): this {
    return this.made(unary("cos", this.value));
  }

  tan(): this {
    return this.made(unary("tan", this.value));
  }

  asin(): this {
    return this.made(unary("asin", this.value));
  }

  acos(): this {
    return this.made(unary("acos", this.value));
  }

  atan(): this {
    return this.made(unary("atan", this.value));
  }

  tanh(): this {
    return this.made(unary("tanh", this.value));
  }

  erf(): this {
    return this.made(unary("erf", this.value));
  }

  sigmoid(): this {
    return this.made(unary("sigmoid", this.value));
  }

  relu(): this {
    return this.made(relu(this.value));
  }

  relu2(): this {
    return this.made(relu2(this.value));
  }

  silu(): this {
    return this.made(silu(this.value));
  }

  softplus(): this {
    return this.made(softplus(this.value));
  }

  gelu(approximate: "none" | "tanh" = "none"): this {
    return this.made(gelu(this.value, approximate));
  }

  softmax(axis = -1): this {
    return this.made(softmax(this.value, axis));
  }

  logSoftmax(axis = -1): this {
    return this.made(logSoftmax(this.value, axis));
  }
}
