/** The tensors of a checkpoint by name, checked for presence and shape. */
import type { Checkpoint, TensorEntry } from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import type { ModelPlan } from "./family.ts";
import { inLayer, matrixRoles, matrixShape, normRoles, normWidth } from "./shapes.ts";

export class TensorTable {
  constructor(
    readonly path: string,
    readonly entries: ReadonlyMap<string, TensorEntry>,
  ) {}

  find(name: string): TensorEntry | undefined {
    return this.entries.get(name);
  }

  /** @throws BitNetError `models/missing-tensor`, `models/shape-mismatch` */
  get(name: string, shape: readonly number[]): TensorEntry {
    const entry = this.entries.get(name);
    if (!entry) {
      throw new BitNetError("models/missing-tensor", `${this.path}: there is no tensor ${name}`);
    }
    if (entry.shape.length !== shape.length || entry.shape.some((n, axis) => n !== shape[axis])) {
      throw new BitNetError(
        "models/shape-mismatch",
        `${entry.file}: ${name}: want (${shape.join(", ")}), got (${entry.shape.join(", ")})`,
      );
    }
    return entry;
  }
}

/** Looks every tensor up once, so that a broken checkpoint is refused at once. */
export function findTensors(
  checkpoint: Checkpoint,
  { config, names, scheme }: ModelPlan,
): TensorTable {
  const table = new TensorTable(checkpoint.path, checkpoint.tensors);
  table.get(names.embedding, [config.vocabularySize, config.hiddenSize]);
  table.get(names.finalNorm, [config.hiddenSize]);
  if (!config.tiedHead) table.get(names.head, [config.vocabularySize, config.hiddenSize]);
  for (let layer = 0; layer < config.layerCount; layer += 1) {
    for (const role of normRoles) {
      const name = names[role];
      if (name) table.get(inLayer(name, layer), [normWidth(config, role)]);
    }
    for (const role of matrixRoles) {
      const [rows, cols] = matrixShape(config, role);
      const name = `${inLayer(names[role], layer)}.weight`;
      // The bytes of a packing tell no shape; unpacking them holds them to it.
      if (table.find(name)?.packing) continue;
      table.get(name, scheme.kind === "packed" ? [Math.ceil(rows / 4), cols] : [rows, cols]);
    }
  }
  return table;
}
