/** Instructions on tensors, for folders above that have ops of their own. */
import type { Attrs } from "../graph/index.ts";
import type { OpName } from "../native/index.ts";
import { pending } from "./pending.ts";
import { Tensor } from "./tensor.ts";

export interface ApplyOptions {
  attrs?: Attrs;
  /** How many of the op's outputs are wanted, from the first; the others are not kept. */
  outputCount?: number;
}

/** Records an instruction, whose operands have the dtypes and shapes that the op asks for. */
export function applied(
  op: OpName,
  inputs: readonly Tensor[],
  { attrs, outputCount = 1 }: ApplyOptions = {},
): Tensor[] {
  const outputs = pending.apply(
    op,
    inputs.map(({ value }) => value),
    { attrs },
  );
  return outputs.slice(0, outputCount).map((value) => new Tensor(value));
}
