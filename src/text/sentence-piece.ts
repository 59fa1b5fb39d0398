/**
 * Merge rules of a SentencePiece BPE vocabulary, which a GGUF file gives as scores alone.
 *
 * SentencePiece joins the two neighbours whose union is the token of the highest score. So every
 * way to halve a token into two tokens is a merge, ranked by that token's score; halves of one
 * token are ranked by the ids of the two.
 * Source: src/bpe_model.cc of google/sentencepiece.
 */

/** What merges are made of. `outside` are tokens that text never merges into. */
export interface ScoredVocabulary {
  vocab: Readonly<Record<string, number>>;
  scores: ArrayLike<number>;
  outside: ReadonlySet<unknown>;
}

interface Merge {
  left: string;
  right: string;
  score: number;
  leftId: number;
  rightId: number;
}

/** All merges, the first to be done first. */
export function mergesByScore({ vocab, scores, outside }: ScoredVocabulary): [string, string][] {
  const merges: Merge[] = [];
  for (const [token, id] of Object.entries(vocab)) {
    if (outside.has(token)) continue;
    const score = scores[id] ?? 0;
    for (const cut of cuts(token)) {
      const left = token.slice(0, cut);
      const right = token.slice(cut);
      const leftId = outside.has(left) ? undefined : vocab[left];
      const rightId = outside.has(right) ? undefined : vocab[right];
      if (leftId === undefined || rightId === undefined) continue;
      merges.push({ left, right, score, leftId, rightId });
    }
  }
  merges.sort((a, b) => b.score - a.score || a.leftId - b.leftId || a.rightId - b.rightId);
  return merges.map(({ left, right }) => [left, right]);
}

/** Every place between two characters of `token`. */
function* cuts(token: string): Generator<number> {
  let cut = 0;
  for (const char of token) {
    if (cut > 0) yield cut;
    cut += char.length;
  }
}
