/**
 * Owners of native objects: buffers whose end, collected or transferred away, releases the object
 * natively. This works within a synchronous loop, and when a Worker is terminated, where nothing
 * else is called any more.
 */
import { check, core, toArrayBuffer } from "./core.ts";

/** Functions of the core that give the address of a deallocator. */
export type Forgetter =
  | "bn_region_forgetter"
  | "bn_program_forgetter"
  | "bn_run_forgetter"
  | "bn_pool_forgetter";

export interface Owned {
  handle: number;
  /** Memory the buffer lies over; nobody reads it through the owner. */
  address: number;
  /** What the collector takes as urgent. */
  size: number;
}

/** The deallocator's arguments are missing from bun-types' declaration of `toArrayBuffer`. */
type ToOwnedBuffer = (...args: OwnedBufferArgs) => ArrayBuffer;
type OwnedBufferArgs = [
  address: number,
  offset: number,
  size: number,
  context: number,
  deallocator: number,
];

export function ownerOf(forgetter: Forgetter, { handle, address, size }: Owned): ArrayBuffer {
  const toOwnedBuffer = toArrayBuffer as unknown as ToOwnedBuffer;
  return toOwnedBuffer(address, 0, size, handle, forgetterAddress(forgetter));
}

const addresses = new Map<Forgetter, number>();

/** Where the deallocator is: memory that is there as long as the core, too. */
export function forgetterAddress(forgetter: Forgetter): number {
  let address = addresses.get(forgetter);
  if (address === undefined) {
    const found = new Float64Array(1);
    check(core()[forgetter](found), "finding a deallocator");
    address = found[0]!;
    addresses.set(forgetter, address);
  }
  return address;
}
