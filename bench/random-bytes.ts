/**
 * Seeded random bytes of a kind, fast enough for gigabytes: a pattern of 1 MiB is drawn once and
 * copied in pieces that begin at random places of it. Imported by the benches; runs nothing.
 */
const patternSize = 1 << 20;
const pieceSize = 1 << 16;
/** Keeps elements of up to 64 bytes whole. */
const startUnit = 64;

export class RandomBytes {
  readonly #pattern: Uint8Array;
  readonly #random: () => number;

  /** `draw` gives the next pattern byte from a random u32. */
  constructor(seed: number, draw: (random: number, index: number) => number) {
    this.#random = randomWords(seed);
    this.#pattern = new Uint8Array(patternSize);
    for (let index = 0; index < patternSize; index += 1) {
      this.#pattern[index] = draw(this.#random(), index);
    }
  }

  fill(target: Uint8Array): void {
    const starts = (patternSize - pieceSize) / startUnit;
    for (let at = 0; at < target.byteLength; at += pieceSize) {
      const start = (this.#random() % starts) * startUnit;
      const size = Math.min(pieceSize, target.byteLength - at);
      target.set(this.#pattern.subarray(start, start + size), at);
    }
  }
}

/** Bytes of four 2-bit codes that are 0, 1 or 2 each: packed weights -1, 0, 1 alike often. */
export function ternarySource(seed = 1): RandomBytes {
  const code = (random: number, place: number): number => Math.floor(random / 3 ** place) % 3;
  return new RandomBytes(
    seed,
    (random) =>
      code(random, 0) | (code(random, 1) << 2) | (code(random, 2) << 4) | (code(random, 3) << 6),
  );
}

/** Bytes of tile3, each of five weights that are -1, 0, 1 alike often. */
export function base3Source(seed = 1): RandomBytes {
  return new RandomBytes(seed, (random) => random % 243);
}

/** int8 from -127 to 127, as absmax quantization yields them. */
export function int8Source(seed = 2): RandomBytes {
  return new RandomBytes(seed, (random) => (random % 255) - 127);
}

/**
 * The planes of an int8 head, two nibbles a byte: high ones of codes that are normal with their
 * largest of thousands at 127, as rows of trained heads are, and low ones that are alike often.
 */
export function headSources(seed = 5): { high: RandomBytes; low: RandomBytes } {
  const normal = normalDeviates(seed + 100);
  const code = (): number => Math.max(-127, Math.min(127, Math.round(normal() * headCodeSize)));
  const nibble = (): number => (code() + 128) >> 4;
  return {
    high: new RandomBytes(seed, () => nibble() | (nibble() << 4)),
    low: new RandomBytes(seed + 1, (random) => random & 0xff),
  };
}

/** Standard deviation of the codes of a head. */
const headCodeSize = 34;
/** Mean of nibbles that are alike often, and their standard deviation. */
export const nibbleCentre = 7.5;
export const nibbleSpread = Math.sqrt(255 / 12);

/** bf16, little-endian, uniform from -2 to 2. */
export function bf16Source(seed = 3): RandomBytes {
  const word = new Uint32Array(1);
  const value = new Float32Array(word.buffer);
  return new RandomBytes(seed, (random, index) => {
    if (index % 2 === 1) return word[0]! >>> 24;
    value[0] = random / 2 ** 30 - 2;
    return (word[0]! >>> 16) & 0xff;
  });
}

/** Normal deviates, by the method of Box and Muller. */
export function normalDeviates(seed: number): () => number {
  const next = randomWords(seed);
  return () => {
    const radius = Math.sqrt(-2 * Math.log((next() + 1) / 2 ** 32));
    return radius * Math.cos((2 * Math.PI * next()) / 2 ** 32);
  };
}

/** Random u32 by xorshift. */
export function randomWords(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b9) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
