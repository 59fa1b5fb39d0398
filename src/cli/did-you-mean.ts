/** The known word nearest to a mistyped one, when it is near enough to be meant. */

const distanceMax = 3;

/** ` (did you mean x?)`, or nothing when no word is near. */
export function didYouMean(typed: string, known: readonly string[]): string {
  const [best] = known
    .map((word) => ({ word, distance: editDistance(typed, word) }))
    .filter(({ word, distance }) => distance <= Math.min(distanceMax, word.length / 2))
    .sort((a, b) => a.distance - b.distance);
  return best === undefined ? "" : ` (did you mean ${best.word}?)`;
}

/** How many letters must be put in, left out or changed to make `a` of `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + Number(a[i - 1] !== b[j - 1]);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
