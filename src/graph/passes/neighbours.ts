/**
 * Ternary products of the same rows with matrices that lie behind one another become one product:
 * queries, keys and values, or gate and up. What read one of them reads its columns of the whole.
 */
import type { OpName } from "../../native/index.ts";
import type { FeedbackLink } from "../record.ts";
import {
  elementSizes,
  isTernaryLayout,
  type Node,
  packedSize,
  type Storage,
  sameView,
  tileRows,
  Value,
} from "../value.ts";
import { isPlain, reads } from "./rewriting.ts";

/** Ops that read rows which lie further apart than they are long. */
const takesGaps: ReadonlySet<OpName> = new Set<OpName>([
  "copy",
  "add",
  "rope",
  "kv_write",
  "attention",
  "gated_activation",
  "rms_norm",
  "quantize_rows",
]);

/** A product that may be joined: its rows, its weights, and what it makes. */
interface Product {
  node: Node;
  q: Value;
  weight: Value;
  y: Value;
}

/** Columns `start` to `start + width` of `whole` hold what a storage of `width` columns held. */
interface Place {
  whole: Value;
  start: number;
  width: number;
}

export function joinProducts(nodes: readonly Node[], feedbacks: readonly FeedbackLink[]): Node[] {
  const runs = runsOf(nodes);
  if (runs.length === 0) return [...nodes];
  const readers = readersOf(nodes);
  const kept = new Set(feedbacks.map(({ from }) => from.storage));
  const writes = new Map<Storage, number>();
  for (const { outputs } of nodes) {
    for (const { storage } of outputs) writes.set(storage, (writes.get(storage) ?? 0) + 1);
  }
  const joined = new Map<Node, Node | null>();
  const places = new Map<Storage, Place>();
  for (const run of runs) {
    const isFree = run.every(({ node, y }) => {
      const touched = [node.inputs[0]!, node.inputs[1]!, y];
      const isSteady = touched.every(({ storage }) => writes.get(storage) === 1);
      return isSteady && !kept.has(y.storage) && mayMove(y, readers.get(y.storage));
    });
    if (!isFree) continue;
    const whole = wholeOf(run);
    for (const { node } of run) joined.set(node, null);
    joined.set(run[0]!.node, whole);
    let start = 0;
    for (const { y } of run) {
      const width = Number(y.dims[1]);
      places.set(y.storage, { whole: whole.outputs[0]!, start, width });
      start += width;
    }
  }
  if (joined.size === 0) return [...nodes];
  return nodes.flatMap((node) => {
    const now = joined.get(node);
    if (now === null) return [];
    const { inputs } = node;
    if (!now && !inputs.some(({ storage }) => places.has(storage))) return [node];
    return [now ?? { ...node, inputs: inputs.map((value) => placed(value, places)) }];
  });
}

/** Products that follow each other, two and more, with weights that do so too. */
function runsOf(nodes: readonly Node[]): Product[][] {
  const runs: Product[][] = [];
  const last = new Map<Storage, Product[]>();
  for (const node of nodes) {
    const product = productOf(node);
    if (!product) continue;
    const run = last.get(product.q.storage);
    if (run && follows(run, product)) {
      run.push(product);
    } else {
      const fresh = [product];
      runs.push(fresh);
      last.set(product.q.storage, fresh);
    }
  }
  return runs.filter((run) => run.length > 1);
}

function productOf(node: Node): Product | undefined {
  if (node.op !== "ternary_matmul" || !isPlain(node) || node.inputs.length !== 3) return undefined;
  const [q, , weight] = node.inputs as [Value, Value, Value];
  const y = node.outputs[0]!;
  const isOwn = [q, node.inputs[1]!, y].every(({ storage }) => storage.kind === "arena");
  if (!isOwn || weight.storage.kind !== "constant" || !weight.rowScale) return undefined;
  return { node, q, weight, y };
}

/** Whether the product's rows are those of the run, and its weights begin where the run's end. */
function follows(run: readonly Product[], { node, weight }: Product): boolean {
  const { node: before, weight: first } = run[0]!;
  if (!sameView(node.inputs[0]!, before.inputs[0]!)) return false;
  if (!sameView(node.inputs[1]!, before.inputs[1]!)) return false;
  if (weight.storage !== first.storage || weight.layout !== first.layout) return false;
  if (!isTernaryLayout(first.layout)) return false;
  let [end, scaleEnd] = [first.offset, first.rowScale!.offset];
  for (const { weight: one } of run) {
    const [rows, columns] = one.dims as [number, number];
    // Rows that are not whole tiles leave a gap before the next matrix.
    if (rows % tileRows !== 0) return false;
    end += packedSize(first.layout, rows, columns);
    scaleEnd += rows * elementSizes.f32;
  }
  const scale = weight.rowScale!;
  return (
    weight.offset === end &&
    scale.storage === first.rowScale!.storage &&
    scale.offset === scaleEnd &&
    weight.dims[1] === first.dims[1]
  );
}

/** The product with all the run's weights, in the place of its first. */
function wholeOf(run: readonly Product[]): Node {
  const { node, weight } = run[0]!;
  const rows = run.reduce((sum, { weight: one }) => sum + Number(one.dims[0]), 0);
  const { storage, dtype, layout, offset, rowScale } = weight;
  const scale = rowScale!;
  const all = new Value({
    ...{ storage, dtype, layout, offset, dims: [rows, weight.dims[1]!] },
    rowScale: new Value({
      storage: scale.storage,
      dtype: scale.dtype,
      dims: [rows],
      offset: scale.offset,
    }),
  });
  const size = run.reduce((sum, { y }) => sum + y.storage.size, 0);
  const made: Storage = { kind: "arena", name: node.op, size };
  const output = new Value({ storage: made, dtype: "f32", dims: [run[0]!.y.dims[0]!, rows] });
  return { ...node, inputs: [node.inputs[0]!, node.inputs[1]!, all], outputs: [output] };
}

interface Reader {
  node: Node;
  value: Value;
}

function readersOf(nodes: readonly Node[]): Map<Storage, Reader[]> {
  const readers = new Map<Storage, Reader[]>();
  for (const node of nodes) {
    for (const value of reads(node)) {
      const list = readers.get(value.storage);
      if (list) list.push({ node, value });
      else readers.set(value.storage, [{ node, value }]);
    }
  }
  return readers;
}

/** Whether every reader can find its elements among columns of a wider matrix. */
function mayMove(y: Value, readers: readonly Reader[] = []): boolean {
  const width = Number(y.dims[1]);
  return readers.every(({ node, value }) => {
    const isRead = node.inputs.includes(value);
    return isRead && takesGaps.has(node.op) && rowAxis(value, width) !== undefined;
  });
}

/** The axis that goes from row to row, where all others stay within a row; -1 where none does. */
function rowAxis({ dims, strides, offset, dtype }: Value, width: number): number | undefined {
  let column = (offset / elementSizes[dtype]) % width;
  let axis = -1;
  for (const [index, stride] of strides.entries()) {
    const extent = dims[index]!;
    if (stride === width && axis < 0) {
      axis = index;
    } else if (typeof extent !== "number" || stride < 0) {
      return undefined;
    } else {
      column += stride * (extent - 1);
    }
  }
  return column < width ? axis : undefined;
}

function placed(value: Value, places: ReadonlyMap<Storage, Place>): Value {
  const place = places.get(value.storage);
  if (!place) return value;
  const { whole, start, width } = place;
  const { dtype, dims, strides } = value;
  const axis = rowAxis(value, width)!;
  const element = value.offset / elementSizes[dtype];
  const total = Number(whole.dims[1]);
  const at = Math.floor(element / width) * total + start + (element % width);
  return whole.view({
    dims,
    strides: strides.map((stride, index) => (index === axis ? total : stride)),
    offset: at * elementSizes[dtype],
  });
}
