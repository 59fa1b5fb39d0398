/** Blobs to make mutants of: every op by itself, and the programs of a fixture model. */
import { planGraph } from "../../src/graph/compile.ts";
import { encodeProgram } from "../../src/graph/encode.ts";
import { Graph, Sym } from "../../src/graph/index.ts";
import { everyOp } from "../graph/every-op.ts";
import { planShared } from "../graph/everywhere.ts";
import { openDecoder, recordDecode, recordLogits } from "../graph/model-graph.ts";
import { type Parent, parentOf } from "./mutants.ts";

/** Each op of one instruction twice: as it is planned, and shared by all workers. */
export function smallParents(): Parent[] {
  return [...everyOp().values()].flatMap(({ graph }) => [
    parentOf(encodeProgram(planGraph(graph)), true),
    parentOf(encodeProgram(planShared(graph)), true),
  ]);
}

export async function modelParents(name: string): Promise<Parent[]> {
  using loaded = await openDecoder(name);
  const decode = new Graph();
  recordDecode(decode, loaded.decoder, 1);
  const logits = new Graph();
  const rows = new Sym("rows", 128, 1);
  recordLogits(logits, loaded.decoder, { rows, sequences: 2, pages: 2 });
  return [decode, logits].map((graph) => parentOf(encodeProgram(planGraph(graph)), false));
}
