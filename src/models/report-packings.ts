/** What the ternary matrices of a checkpoint are made of, and what each packing would take. */
import type { Checkpoint } from "../checkpoint/index.ts";
import type { ActivationName } from "../native/index.ts";
import { choosePacking, type PackingReport } from "../quant/index.ts";
import { ternaryMatrices } from "./convert-folder.ts";
import { planModel } from "./load.ts";
import { MatrixEncoder } from "./matrix-encoder.ts";
import { Packer } from "./packer.ts";
import { findTensors } from "./tensor-table.ts";
import { readTernary } from "./ternary.ts";

/** One matrix; those that are not ternary with one scale have no report. */
export interface MatrixPackings {
  name: string;
  shape: [rows: number, columns: number];
  report?: PackingReport;
}

/** Reads matrix after matrix. @throws BitNetError as `loadDecoder`; the signal's reason */
export async function* reportPackings(
  checkpoint: Checkpoint,
  { hiddenAct, signal }: { hiddenAct?: ActivationName; signal?: AbortSignal } = {},
): AsyncGenerator<MatrixPackings> {
  const plan = planModel(checkpoint, hiddenAct);
  const tensors = findTensors(checkpoint, plan);
  using packer = new Packer(signal);
  using encoder = new MatrixEncoder(signal);
  for (const { base, shape } of ternaryMatrices({ plan })) {
    const codes = encoder.codes(...shape);
    const name = `${base}.weight`;
    if ((await readTernary({ checkpoint, plan, tensors, packer }, base, codes)) === null) {
      yield { name, shape };
      continue;
    }
    const count = shape[0] * shape[1];
    const values = new Int8Array(codes.region.bytes(0, count).buffer, 0, count);
    yield { name, shape, report: choosePacking(values, shape) };
  }
}
