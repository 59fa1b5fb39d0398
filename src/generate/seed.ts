/**
 * Seeds of the random numbers: 64 bits, given or drawn, and the two 32-bit words the core takes.
 */
import { refuseOption } from "./refuse.ts";

const seedBits = 64;
const wordMask = 0xffff_ffffn;

/**
 * The seed as 64 bits; a random one when absent.
 *
 * @throws BitNetError `generate/invalid-option` unless it is an integer from 0 to 2^64 - 1.
 */
export function resolveSeed(seed?: number | bigint): bigint {
  if (seed === undefined) return crypto.getRandomValues(new BigUint64Array(1))[0]!;
  const allowed = "an integer from 0 to 2^64 - 1 (above 2^53 - 1 as a bigint)";
  if (typeof seed === "number" ? !Number.isSafeInteger(seed) : typeof seed !== "bigint") {
    refuseOption("seed", allowed, seed);
  }
  const value = BigInt(seed);
  if (BigInt.asUintN(seedBits, value) !== value) refuseOption("seed", allowed, seed);
  return value;
}

/** The low and the high 32 bits of a seed. */
export function seedWords(seed: bigint): readonly [low: number, high: number] {
  return [Number(seed & wordMask), Number((seed >> 32n) & wordMask)];
}
