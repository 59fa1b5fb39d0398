/**
 * In which order the operands of a contraction are multiplied, two at a time. A product costs the
 * extents of all labels of both; it keeps those that the result or another operand still wants.
 * Up to eight operands the cheapest of all orders is found, by subsets; beyond, each step takes
 * the cheapest pair.
 */
import { rankMax } from "./shapes.ts";
import type { Labels } from "./subscripts.ts";

/** An operand by its index, or the product of two. */
export type Order = number | readonly [Order, Order];

export interface Contraction {
  operands: readonly Labels[];
  result: Labels;
  extents: ReadonlyMap<string, number>;
}

interface Best {
  order: Order;
  cost: number;
  labels: ReadonlySet<string>;
}

const exhaustiveMax = 8;

/** null where every order has a product of more dimensions than a tensor can have. */
export function cheapestOrder(contraction: Contraction): Order | null {
  const count = contraction.operands.length;
  return count <= exhaustiveMax ? bestOfAll(contraction) : bestByStep(contraction);
}

function bestOfAll(contraction: Contraction): Order | null {
  const { operands } = contraction;
  const whole = (1 << operands.length) - 1;
  const best = new Map<number, Best>();
  for (let set = 1; set <= whole; set += 1) {
    const members = operands.map((_, at) => at).filter((at) => set & (1 << at));
    if (members.length === 1) {
      best.set(set, { order: members[0]!, cost: 0, labels: new Set(operands[members[0]!]) });
      continue;
    }
    const others = operands.filter((_, at) => !(set & (1 << at)));
    // The part with the lowest operand, so that each pair is looked at once.
    const lowest = set & -set;
    for (let part = (set - 1) & set; part > 0; part = (part - 1) & set) {
      const [a, b] = [best.get(part), best.get(set ^ part)];
      if (!(part & lowest) || !a || !b) continue;
      const product = multiplied(contraction, { a, b, others });
      if (product && product.cost < (best.get(set)?.cost ?? Infinity)) best.set(set, product);
    }
  }
  return best.get(whole)?.order ?? null;
}

function bestByStep(contraction: Contraction): Order | null {
  let terms = contraction.operands.map(
    (labels, order): Best => ({ order, cost: 0, labels: new Set(labels) }),
  );
  while (terms.length > 1) {
    let found: { product: Best; rest: Best[] } | undefined;
    for (const [index, a] of terms.entries()) {
      for (const b of terms.slice(index + 1)) {
        const rest = terms.filter((term) => term !== a && term !== b);
        const others = rest.map(({ labels }) => [...labels]);
        const product = multiplied(contraction, { a, b, others });
        if (!product) continue;
        product.cost -= a.cost + b.cost;
        if (!found || product.cost < found.product.cost) found = { product, rest };
      }
    }
    if (!found) return null;
    terms = [...found.rest, found.product];
  }
  return terms[0]!.order;
}

interface Pair {
  a: Best;
  b: Best;
  /** Labels of what is multiplied later. */
  others: readonly Labels[];
}

function multiplied({ result, extents }: Contraction, { a, b, others }: Pair): Best | null {
  const wanted = new Set([...result, ...others.flat()]);
  const all = new Set([...a.labels, ...b.labels]);
  const labels = new Set([...all].filter((label) => wanted.has(label)));
  if (labels.size > rankMax) return null;
  const steps = [...all].reduce((product, label) => product * extents.get(label)!, 1);
  return { order: [a.order, b.order], cost: a.cost + b.cost + steps, labels };
}
