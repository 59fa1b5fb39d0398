/**
 * Random tensors: every element is a function of seed, stream and its place (Philox), so that the
 * same seed gives the same bits on any number of threads and instruction-set level.
 */
import { BitNetError } from "../errors/index.ts";
import { isFloat, Value } from "../graph/index.ts";
import type { CreateOptions } from "./create.ts";
import type { DType } from "./dtypes.ts";
import { binary, cast } from "./elementwise.ts";
import { pending } from "./pending.ts";
import { filled } from "./read.ts";
import { requireShape, type Shape } from "./shapes.ts";
import { Tensor } from "./tensor.ts";

export interface RandomOptions extends CreateOptions {
  /** Whole, from 0 to 2^64 - 1; taken from the system's source of randomness by default. */
  seed?: number | bigint;
  /** Which of a seed's independent sequences: another one for each tensor of a model, say. */
  stream?: number | bigint;
}

export interface UniformOptions extends RandomOptions {
  /** 0 by default. */
  low?: number;
  /** 1 by default; not reached itself, but for rounding. */
  high?: number;
}

/**
 * Equally likely numbers from `low` to `high`, of a float dtype.
 * @throws BitNetError `tensor/bad-dtype`, `tensor/bad-seed`
 */
export function uniform(shape: Shape, { low = 0, high = 1, ...options }: UniformOptions = {}) {
  return drawn("random_uniform", shape, { options, scale: high - low, shift: low });
}

export interface NormalOptions extends RandomOptions {
  /** 0 by default. */
  mean?: number;
  /** The standard deviation, 1 by default. */
  std?: number;
}

/**
 * Normally distributed numbers, of a float dtype.
 * @throws BitNetError `tensor/bad-dtype`, `tensor/bad-seed`
 */
export function randn(shape: Shape, { mean = 0, std = 1, ...options }: NormalOptions = {}): Tensor {
  return drawn("random_normal", shape, { options, scale: std, shift: mean });
}

interface Draw {
  options: RandomOptions;
  scale: number;
  shift: number;
}

function drawn(
  op: "random_uniform" | "random_normal",
  shape: Shape,
  { options, scale, shift }: Draw,
): Tensor {
  const { dtype = "f32", seed = randomSeed(), stream = 0 } = options;
  if (!isFloat(dtype)) {
    throw new BitNetError(
      "tensor/bad-dtype",
      `random numbers of ${dtype}: want f32, f64, f16 or bf16; to() makes integers of them`,
    );
  }
  const wide: DType = dtype === "f64" ? "f64" : "f32";
  const made = { dtype: wide, dims: requireShape(shape) };
  let y = pending.apply(op, [keyOf(seed, stream)], { shape: made })[0]!;
  if (scale !== 1) y = binary("mul", y, scale);
  if (shift !== 0) y = binary("add", y, shift);
  return new Tensor(cast(y, dtype));
}

/** Seed and stream as four words, the lower ones first. */
function keyOf(seed: number | bigint, stream: number | bigint): Value {
  const words = [...wordsOf("seed", seed), ...wordsOf("stream", stream)];
  const { storage } = filled([4], "i32", (elements) => elements.set(words));
  return new Value({ storage, dtype: "u32", dims: [4] });
}

function wordsOf(what: string, number: number | bigint): [number, number] {
  const isWhole = typeof number === "bigint" || Number.isSafeInteger(number);
  if (!isWhole || number < 0 || number >= 1n << 64n) {
    throw new BitNetError(
      "tensor/bad-seed",
      `${what} ${number}: want a whole number from 0 to 2^53 - 1, or a bigint below 2^64`,
    );
  }
  const wide = BigInt(number);
  return [Number(BigInt.asIntN(32, wide)), Number(BigInt.asIntN(32, wide >> 32n))];
}

function randomSeed(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0]!;
}
