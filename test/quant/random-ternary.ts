/** Seeded ternary weights: a 32-bit linear congruential generator, its top bits modulo 3. */
export function randomTernary(count: number, seed: number): Int8Array {
  let state = seed >>> 0;
  return Int8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 16) % 3) - 1;
  });
}
