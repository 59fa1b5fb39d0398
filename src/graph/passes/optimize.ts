/**
 * Passes over the recorded instructions. Each rewrites a pattern into fewer instructions that give
 * the same bits.
 */
import type { FeedbackLink } from "../record.ts";
import type { Node } from "../value.ts";
import { dropDead } from "./dead.ts";
import { fuseElementwise } from "./elementwise.ts";
import { fuseNormQuantize } from "./norm-quantize.ts";
import { fuseResidual } from "./residual.ts";
import { shareEqual } from "./shared.ts";

/** All passes, in order. */
export function optimize(nodes: readonly Node[], feedbacks: readonly FeedbackLink[]): Node[] {
  let current = shareEqual(dropDead(nodes, feedbacks), feedbacks);
  current = fuseNormQuantize(current, feedbacks);
  current = fuseResidual(current, feedbacks);
  return fuseElementwise(current, feedbacks);
}
