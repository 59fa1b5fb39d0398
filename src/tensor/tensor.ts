/**
 * What people hold of a recorded value: shape, dtype, operators, views. Operators record; the
 * elements are computed when somebody reads them, together with all else that is pending. The
 * methods are inherited, family by family: arithmetic-methods.ts, reduction-methods.ts,
 * shape-methods.ts, writing-methods.ts.
 */
import type { Value } from "../graph/index.ts";
import type { Base } from "./handle.ts";
import type { IndexBy } from "./shape-methods.ts";
import { WritingMethods } from "./writing-methods.ts";

/** Another tensor, or a number, which takes this tensor's dtype. */
export type TensorOperand = Tensor | number;

/**
 * One place of an index: an element, a range "start:stop:step", "..." for the axes between, null
 * for a new axis, a list or tensor of whole numbers, or a tensor of bools.
 */
export type Index = IndexBy<Tensor>;

export class Tensor extends WritingMethods {
  protected override made(value: Value, base?: Base): this {
    return new Tensor(value, base) as this;
  }
}
