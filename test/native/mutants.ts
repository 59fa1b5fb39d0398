/**
 * Mutants of valid blobs: numbers of the tables become others that tend to break readers, and
 * sometimes bytes are cut, flipped or repeated anywhere. Valid mutants of small programs are run.
 */
import { BitNetError } from "../../src/errors/index.ts";
import {
  NativeProgram,
  Region,
  RegionKind,
  type RunRequest,
  submitRun,
} from "../../src/native/index.ts";
import type { Random } from "../checkpoint/random.ts";
import { BlobEditor, type Place } from "./blob-editor.ts";

const edges: bigint[] = [
  ...[0n, 1n, 2n, 3n, 4n, 7n, 8n, 15n, 16n, 31n, 63n, 64n, 65n, 127n, 128n, 255n, 256n],
  ...[0xffffn, 2n ** 20n, 2n ** 26n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n],
  ...[2n ** 46n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, -1n, -4n],
];

/** A blob that mutants are made of. */
export interface Parent {
  blob: Uint8Array;
  places: Place[];
  /** Small enough that a valid mutant may be run. */
  small: boolean;
}

export function parentOf(blob: Uint8Array, small: boolean): Parent {
  return { blob, places: new BlobEditor(blob).places(), small };
}

export function mutate({ blob, places }: Parent, random: Random): Uint8Array {
  if (random.below(10) === 0) return mutateBytes(blob, random);
  const editor = new BlobEditor(blob);
  for (let left = 1 + random.below(3); left > 0; left -= 1) {
    const place = random.pick(places);
    editor.write(place, mutateNumber(editor, place, { places, random }));
  }
  return editor.bytes;
}

function mutateNumber(
  editor: BlobEditor,
  place: Place,
  { places, random }: { places: Place[]; random: Random },
): bigint {
  const now = BigInt(editor.read(place));
  switch (random.below(6)) {
    case 0:
      return random.pick(edges);
    case 1:
      return now + 1n;
    case 2:
      return now - 1n;
    case 3:
      return now * 2n;
    case 4:
      return now ^ (1n << BigInt(random.below(64)));
    default:
      // What another place of the blob holds: an index or size that exists.
      return BigInt(editor.read(random.pick(places)));
  }
}

function mutateBytes(blob: Uint8Array, random: Random): Uint8Array {
  const bytes = new Uint8Array(blob);
  const at = random.below(bytes.length);
  const size = 1 + random.below(64);
  switch (random.below(4)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 2:
      bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length));
      return bytes;
    default:
      return Uint8Array.from([...bytes.subarray(0, at + size), ...bytes.subarray(at)]);
  }
}

export interface Outcome {
  valid: number;
  refused: number;
  run: number;
  /** Parts that refusals named. */
  parts: Set<string>;
}

export interface CampaignOptions {
  count: number;
  random: Random;
  /** Valid mutants to run at most. */
  runs: number;
}

/** Creates a program of each mutant: valid or refused as invalid, nothing else. */
export async function campaign(
  parents: readonly Parent[],
  { count, random, runs }: CampaignOptions,
): Promise<Outcome> {
  const outcome: Outcome = { valid: 0, refused: 0, run: 0, parts: new Set() };
  for (let index = 0; index < count; index += 1) {
    const parent = random.pick(parents);
    const mutant = mutate(parent, random);
    let program: NativeProgram;
    try {
      program = new NativeProgram(mutant, 1);
    } catch (error) {
      if (!(error instanceof BitNetError) || error.code !== "native/invalid-program") throw error;
      outcome.refused += 1;
      outcome.parts.add(/: (\w+) \d+: /.exec(error.message)?.[1] ?? error.message);
      continue;
    }
    outcome.valid += 1;
    using _ = program;
    if (!parent.small || outcome.run >= runs) continue;
    if (await runMutant(program, new BlobEditor(mutant), random)) outcome.run += 1;
  }
  return outcome;
}

const regionSizeMax = 1 << 20;
const guardSize = 64;

/** Runs a valid mutant over memory with guards; its data may be refused, its bounds must hold. */
async function runMutant(
  program: NativeProgram,
  editor: BlobEditor,
  random: Random,
): Promise<boolean> {
  using stack = new DisposableStack();
  const bindings: RunRequest["bindings"][number][] = [];
  const inputs: Uint8Array[] = [];
  const guarded: { region: Region; size: number; constant: boolean }[] = [];
  for (let row = 0; row < editor.count("region"); row += 1) {
    const kind = editor.get("region", row, "kind");
    const size = editor.get("region", row, "size_at_max");
    if (size > regionSizeMax) return false;
    if (kind === RegionKind.arena) bindings.push(null);
    else if (kind === RegionKind.input) {
      bindings.push(null);
      inputs.push(new Uint8Array(size).fill(random.below(3)));
    } else {
      const region = stack.use(Region.create(size + guardSize));
      region.bytes().fill(1);
      bindings.push({ region });
      guarded.push({ region, size, constant: kind === RegionKind.constant });
    }
  }
  const syms = Array.from({ length: editor.count("sym") }, (_, row) => {
    const [min, max] = [editor.get("sym", row, "min"), editor.get("sym", row, "max")];
    return min + random.below(Math.min(max - min, 8) + 1);
  });
  const steps = 1 + random.below(3);
  const threads = 1 + random.below(3);
  try {
    await submitRun({ program, bindings, syms, inputs, steps, threads });
  } catch (error) {
    if (!(error instanceof BitNetError)) throw error;
  }
  for (const { region, size, constant } of guarded) {
    const kept = region.bytes(constant ? 0 : size);
    if (kept.some((byte) => byte !== 1)) throw new Error("a mutant wrote outside of its outputs");
  }
  return true;
}
