/**
 * Mutations of checkpoint bytes. Half aim at headers, lengths and offsets: a number of the header
 * becomes one that tends to break readers. The rest flip, cut, move or repeat bytes anywhere.
 */
import type { Field } from "./build-gguf.ts";
import type { Random } from "./random.ts";

/** Numbers that sit on the edges of what readers assume. */
const edgeNumbers: bigint[] = [
  0n,
  1n,
  2n,
  31n,
  33n,
  127n,
  255n,
  65_536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n + 1n,
  2n ** 60n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** Puts an edge number, a neighbour or a multiple into one field of a binary header. */
export function mutateField(
  bytes: Uint8Array<ArrayBuffer>,
  field: Field,
  random: Random,
): Uint8Array<ArrayBuffer> {
  const mutant = bytes.slice();
  const view = new DataView(mutant.buffer);
  const bits = field.bytes * 8;
  const value = BigInt.asUintN(bits, mutateNumber(readField(view, field), random));
  if (field.bytes === 8) view.setBigUint64(field.offset, value, true);
  else if (field.bytes === 4) view.setUint32(field.offset, Number(value), true);
  else view.setUint8(field.offset, Number(value));
  return mutant;
}

/** Damage that knows nothing of the format. */
export function mutateBytes(
  bytes: Uint8Array<ArrayBuffer>,
  random: Random,
): Uint8Array<ArrayBuffer> {
  const at = random.below(bytes.length);
  const count = 1 + random.below(16);
  switch (random.below(5)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      return join(bytes.subarray(0, at), bytes.subarray(at + count));
    case 2:
      return join(bytes.subarray(0, at), bytes.subarray(Math.max(0, at - count)));
    case 3: {
      const mutant = bytes.slice();
      for (let i = 0; i < count; i++) mutant[random.below(mutant.length)] = random.below(256);
      return mutant;
    }
    default: {
      const mutant = bytes.slice();
      mutant[at]! ^= 1 << random.below(8);
      return mutant;
    }
  }
}

/** Changes one piece of a JSON text: a number, a word, a delimiter, or a whole entry repeated. */
export function mutateJson(text: string, random: Random): string {
  switch (random.below(5)) {
    case 0:
    case 1:
      return replaceOne({ text, pattern: /-?\d+/g, random }, (digits) =>
        String(mutateNumber(BigInt(digits), random)),
      );
    case 2:
      return replaceOne({ text, pattern: /"[^"]*"/g, random }, () => random.pick(words));
    case 3:
      return replaceOne({ text, pattern: /[[\]{}:,]/g, random }, () => random.pick([..."[]{}:,"]));
    default:
      return replaceOne(
        { text, pattern: /"[^"]*":\{[^{}]*\}/g, random },
        (entry) => `${entry},${entry}`,
      );
  }
}

const words = [
  '"U8"',
  '"F32"',
  '"F8_E4M3"',
  '"shape"',
  '"data_offsets"',
  '"__metadata__"',
  '"../up.safetensors"',
  '"gone.safetensors"',
  '"a.safetensors"',
  '""',
  "-1",
  "null",
  '"\\ud800"',
];

function mutateNumber(value: bigint, random: Random): bigint {
  const near = [value + 1n, value - 1n, value * 2n, value / 2n, value << 24n, value + 32n];
  const chosen = random.pick(random.below(2) === 0 ? near : edgeNumbers);
  return chosen < 0n ? -chosen : chosen;
}

function readField(view: DataView, { offset, bytes }: Field): bigint {
  if (bytes === 8) return view.getBigUint64(offset, true);
  return BigInt(bytes === 4 ? view.getUint32(offset, true) : view.getUint8(offset));
}

interface Replacement {
  text: string;
  pattern: RegExp;
  random: Random;
}

function replaceOne(
  { text, pattern, random }: Replacement,
  replace: (found: string) => string,
): string {
  const matches = [...text.matchAll(pattern)];
  if (matches.length === 0) return text.slice(0, random.below(text.length));
  const { 0: found, index } = random.pick(matches);
  return text.slice(0, index) + replace(found) + text.slice(index + found.length);
}

function join(left: Uint8Array, right: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat([left, right]));
}
