/**
 * Reverse-mode differentiation as a transformation of recorded instructions: from a value back
 * along what made it, each instruction's rule records the gradients of its inputs. What is read
 * through a view gets its gradient through the same view: summed over repeated axes, put back into
 * the whole.
 */
import { BitNetError } from "../../errors/index.ts";
import type { Recorder } from "../record.ts";
import {
  elementSizes,
  isFloat,
  isRowMajor,
  type Node,
  type Storage,
  type Value,
} from "../value.ts";
import { straightThrough } from "./layers.ts";
import type { Gradient, GradientRule } from "./rule.ts";
import { gradientRules } from "./rules.ts";
import { gradientDType, reshaped, ValueMaths } from "./value-maths.ts";

/** A rule in place of those of the instructions between the inputs and the output of `node`. */
export interface CustomGradient {
  inputs: readonly Value[];
  rule: (gradient: Value) => readonly (Value | undefined)[];
}

/** Instructions with a gradient of their own making. */
const customGradients = new WeakMap<Node, CustomGradient>();

/** Gives an instruction a rule that people wrote; its own is not asked. */
export function setCustomGradient(node: Node, custom: CustomGradient): void {
  customGradients.set(node, custom);
}

export interface GradientOptions {
  /** Values whose gradient is wanted, each all of its storage without gaps. */
  of: readonly Value[];
  /** The gradient of `y`, in its shape. */
  seed: Value;
  recorder: Recorder;
}

/**
 * The gradients of `y` for each wanted value; undefined where y does not depend on it.
 * @throws BitNetError `graph/no-gradient` for an op on the way that has no rule
 */
export function gradients(y: Value, options: GradientOptions): (Value | undefined)[] {
  const { of, seed, recorder } = options;
  const on = new ValueMaths(recorder);
  const sums = new Sums(on, new Map(of.map((value) => [value.storage, value])));
  sums.add(y, seed);
  const wanted = new Set(of.map(({ storage }) => storage));
  const { order, depends } = backwardsFrom(y, wanted);
  const isWanted = ({ storage, dtype }: Value): boolean => {
    const { producer } = storage;
    if (!isFloat(dtype) && !(producer && straightThrough.has(producer.op))) return false;
    return wanted.has(storage) || (producer !== undefined && depends.has(producer));
  };
  for (const node of order) {
    const all = node.outputs.map(({ storage }) => sums.of(storage));
    if (!all.some(Boolean)) continue;
    const first = node.outputs[0]!;
    const g = all[0] ?? on.one("copy", [on.zeros(first)]);
    const custom = customGradients.get(node);
    const inputs = custom?.inputs ?? node.inputs;
    const made = custom ? custom.rule(g) : ruleOf(node)({ node, g, all, y: first, on });
    inputs.forEach((input, index) => {
      const gradient = isWanted(input) ? recorded(made[index]) : undefined;
      if (gradient) sums.add(input, on.cast(gradient, gradientDType(input.dtype)));
    });
  }
  return of.map(({ storage }) => sums.of(storage));
}

function recorded(gradient: Gradient): Value | undefined {
  return typeof gradient === "function" ? gradient() : gradient;
}

function ruleOf(node: Node): GradientRule {
  const rule = gradientRules[node.op];
  if (typeof rule === "function") return rule;
  throw new BitNetError(
    "graph/no-gradient",
    `${node.op} has no gradient: ${rule.reason}. Keep it out of what is differentiated, or give ` +
      "it a gradient of your own",
  );
}

/** Instructions behind a value. */
interface Past {
  /** Each before those that it reads. */
  order: Node[];
  /** Those among them that something wanted leads to. */
  depends: ReadonlySet<Node>;
}

/**
 * What made the value, and what made that, as far as something wanted leads there: each instruction
 * before those that it reads.
 */
function backwardsFrom(y: Value, wanted: ReadonlySet<Storage>): Past {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack: { node: Node; next: number }[] = [];
  const visit = ({ storage }: Value): void => {
    const node = storage.producer;
    if (!node || wanted.has(storage) || seen.has(node)) return;
    seen.add(node);
    stack.push({ node, next: 0 });
  };
  visit(y);
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const inputs = customGradients.get(top.node)?.inputs ?? top.node.inputs;
    if (top.next < inputs.length) {
      visit(inputs[top.next++]!);
    } else {
      order.push(top.node);
      stack.pop();
    }
  }
  const depends = new Set<Node>();
  for (const node of order) {
    const inputs = customGradients.get(node)?.inputs ?? node.inputs;
    const isOn = inputs.some(({ storage }) => {
      const { producer } = storage;
      return wanted.has(storage) || (producer !== undefined && depends.has(producer));
    });
    if (isOn) depends.add(node);
  }
  return { order: order.filter((node) => depends.has(node)).reverse(), depends };
}

/** Gradients gathered so far, each of all of a storage. */
class Sums {
  readonly #of = new Map<Storage, Value>();

  constructor(
    readonly on: ValueMaths,
    readonly leaves: ReadonlyMap<Storage, Value>,
  ) {}

  of(storage: Storage): Value | undefined {
    return this.#of.get(storage);
  }

  /** Adds the gradient of a view to that of its storage. */
  add(view: Value, gradient: Value): void {
    const { storage } = view;
    const whole = this.leaves.get(storage) ?? wholeOf(storage);
    if (!whole) return;
    const full = this.#spread(view, gradient, whole);
    const before = this.#of.get(storage);
    this.#of.set(storage, before ? this.on.add(before, full) : full);
  }

  /** The gradient of the whole that a gradient of a view makes. */
  #spread(view: Value, gradient: Value, whole: Value): Value {
    const repeated = view.dims
      .map((_, axis) => axis)
      .filter((axis) => view.strides[axis] === 0 && view.dims[axis] !== 1);
    const kept = view.dims.map((_, axis) => axis).filter((axis) => !repeated.includes(axis));
    const order = [...kept].sort((a, b) => view.strides[b]! - view.strides[a]!);
    const sum = this.on.sumLast(gradient.permute([...order, ...repeated]), repeated.length);
    const dims = order.map((axis) => view.dims[axis] as number);
    const strides = order.map((axis) => view.strides[axis]!);
    const offset = (view.offset - whole.offset) / elementSizes[view.dtype];
    if (
      offset === 0 &&
      count(dims) === count(whole.dims as number[]) &&
      isRowMajor(dims, strides)
    ) {
      return reshapedTo(this.on, sum, whole);
    }
    return this.#placed(sum, whole, { offset, strides });
  }

  #placed(part: Value, whole: Value, at: { offset: number; strides: number[] }): Value {
    const attrs: Record<string, number> = { offset: at.offset };
    for (let axis = 0; axis < 6; axis += 1) attrs[`stride_${axis}`] = at.strides[axis] ?? 0;
    const dims = whole.dims;
    return this.on.recorder.apply("place", [part], {
      attrs,
      shape: { dims, dtype: part.dtype },
    })[0]!;
  }
}

function wholeOf(storage: Storage): Value | undefined {
  return storage.producer?.outputs.find((output) => output.storage === storage);
}

function reshapedTo(on: ValueMaths, x: Value, whole: Value): Value {
  const dims = x.dims as number[];
  const row = isRowMajor(dims, x.strides) ? x : on.recorder.apply("copy", [x])[0]!;
  return reshaped(row, whole.dims);
}

function count(dims: readonly number[]): number {
  return dims.reduce((product, extent) => product * extent, 1);
}
