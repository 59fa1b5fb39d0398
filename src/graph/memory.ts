/** What memory a planned Program needs. */
import { placeSize } from "../native/index.ts";
import type { ArenaPlan } from "./plan.ts";
import type { Storage } from "./value.ts";

/** Bytes of a Program at its largest sizes. */
export interface ProgramMemory {
  /** The planned peak of intermediate values: what the arena takes of the pool. */
  arena: number;
  /** Intermediate values, as if none shared memory with another. */
  values: number;
  constants: number;
  state: number;
  inputs: number;
  outputs: number;
}

/** What a plan takes. Regions that only some of is read count as a whole. */
export function memoryOf(arena: ArenaPlan, storages: readonly Storage[]): ProgramMemory {
  let values = 0;
  for (const { size } of arena.offsets.keys()) values += placeSize(size);
  const sumOf = (kind: Storage["kind"]): number =>
    storages.reduce((sum, storage) => (storage.kind === kind ? sum + storage.size : sum), 0);
  return {
    arena: arena.size,
    values,
    constants: sumOf("constant"),
    state: sumOf("state"),
    inputs: sumOf("input"),
    outputs: sumOf("output"),
  };
}
