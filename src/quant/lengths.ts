/**
 * The checks that the packings share: byte counts against shapes, and codes that are no weight.
 */
import { BitNetError } from "../errors/index.ts";

/** @throws BitNetError quant/wrong-length when `got` is not `want` */
export function requireLength(what: string, want: number, got: number): void {
  if (got === want) return;
  throw new BitNetError("quant/wrong-length", `${what}: want ${want}, got ${got}`);
}

/** @throws BitNetError quant/wrong-length when `count` is no multiple of `block` */
export function requireMultiple(what: string, count: number, block: number): void {
  if (Number.isSafeInteger(count) && count >= 0 && count % block === 0) return;
  throw new BitNetError("quant/wrong-length", `${what}: want a multiple of ${block}, got ${count}`);
}

/**
 * The two-bit code 3 stands for no weight: whoever finds it has bytes of another packing.
 * @throws BitNetError quant/not-ternary always
 */
export function notTernary(packing: string, index: number): never {
  refuseBytes(packing, `code 3 at weight ${index}`);
}

/** @throws BitNetError quant/not-ternary always */
export function refuseBytes(packing: string, found: string): never {
  throw new BitNetError(
    "quant/not-ternary",
    `${packing}: want weights of -1, 0 and +1, got ${found}; ` +
      "the bytes are of another packing, or damaged",
  );
}
