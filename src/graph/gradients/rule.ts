/** What the gradient of an op is made of: the types that all families of rules share. */
import type { Node, Value } from "../value.ts";
import type { ValueMaths } from "./value-maths.ts";

/** What a rule works with. */
export interface GradientCase {
  node: Node;
  /**
   * The gradient of the first output, of its shape and row by row; zeros where only others have
   * one.
   */
  g: Value;
  /** The gradients of all outputs, where there are any. */
  all: readonly (Value | undefined)[];
  /** The first output. */
  y: Value;
  on: ValueMaths;
}

/** A gradient, or how to record it: functions are called only where the gradient is wanted. */
export type Gradient = Value | (() => Value) | undefined;

/** A gradient for each input, in the input's shape; undefined where it is zero everywhere. */
export type GradientRule = (of: GradientCase) => readonly Gradient[];

/** An op that gradients do not go through, and why. */
export interface NoGradient {
  readonly reason: string;
}

export type OpGradient = GradientRule | NoGradient;

export function none(reason: string): NoGradient {
  return { reason };
}
