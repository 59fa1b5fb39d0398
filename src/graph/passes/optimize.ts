/**
 * Passes over the recorded instructions. Each rewrites a pattern into fewer instructions that give
 * the same bits.
 */
import type { FeedbackLink } from "../record.ts";
import type { Node } from "../value.ts";
import { dropDead } from "./dead.ts";
import { writeDirectly } from "./direct.ts";
import { fuseElementwise } from "./elementwise.ts";
import { joinProducts } from "./neighbours.ts";
import { fuseNormQuantize } from "./norm-quantize.ts";
import { rematerialize } from "./rematerialize.ts";
import { fuseResidual } from "./residual.ts";
import { shareEqual } from "./shared.ts";

export interface OptimizeOptions {
  /** Computes values again that would wait long, to need less memory. */
  rematerialize?: boolean;
}

/** All passes, in order. */
export function optimize(
  nodes: readonly Node[],
  feedbacks: readonly FeedbackLink[],
  options: OptimizeOptions = {},
): Node[] {
  let current = shareEqual(dropDead(nodes, feedbacks), feedbacks);
  current = joinProducts(current, feedbacks);
  current = fuseNormQuantize(current, feedbacks);
  current = fuseResidual(current, feedbacks);
  if (options.rematerialize) current = rematerialize(current, feedbacks);
  return writeDirectly(fuseElementwise(current, feedbacks), feedbacks);
}
