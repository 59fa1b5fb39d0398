/**
 * How the matrices of a checkpoint become ternary, by the scheme of its family: codes that are
 * stored are decoded, floats are quantized, and what is not ternary with one scale stays dense.
 */
import type { Checkpoint, TensorEntry, TensorReader } from "../checkpoint/index.ts";
import { BitNetError } from "../errors/index.ts";
import type { Weight } from "../graph/index.ts";
import type { LayoutName } from "../native/index.ts";
import type { ModelPlan } from "./family.ts";
import type { Packer } from "./packer.ts";
import { readFloats } from "./store.ts";
import type { TensorTable } from "./tensor-table.ts";

export interface TernarySource {
  checkpoint: Checkpoint;
  plan: ModelPlan;
  tensors: TensorTable;
  packer: Packer;
  /** For scales; without it the file is opened for each. */
  reader?: TensorReader;
}

/**
 * Writes the codes of the matrix `base` to `to`, packed or not, and returns its scale; null when
 * it is not ternary with one scale and has to stay dense.
 * @throws BitNetError models/unexpected-dtype, models/bad-scale, models/not-finite
 */
export async function readTernary(
  source: TernarySource,
  base: string,
  to: Weight,
): Promise<number | null> {
  const { plan, packer, tensors } = source;
  const entry = tensors.find(`${base}.weight`)!;
  if (entry.packing) {
    await packer.unpackStored(entry, entry.packing, to);
    return readScale(source, base);
  }
  switch (plan.scheme.kind) {
    case "packed":
      return readStored(source, { base, entry, to });
    case "absmean": {
      requireFloats(entry);
      const { sum } = await packer.stats(entry);
      requireFinite(entry, sum);
      const count = to.shape[0]! * to.shape[1]!;
      const scale = Math.max(Math.fround(sum / count), Math.fround(1e-5));
      await packer.ternarize(entry, scale, to);
      return scale;
    }
    case "found":
      return readFound(source, entry, to);
  }
}

/** `value` is not finite when one of the tensor's is not. @throws BitNetError models/not-finite */
export function requireFinite(entry: TensorEntry, value: number): void {
  if (Number.isFinite(value)) return;
  throw new BitNetError(
    "models/not-finite",
    `${entry.file}: ${entry.name}: want finite values, got NaN or an infinity; fetch the file again`,
  );
}

async function readStored(
  source: TernarySource,
  { base, entry, to }: { base: string; entry: TensorEntry; to: Weight },
): Promise<number> {
  const { packer, plan } = source;
  if (entry.dtype !== "U8") {
    throw new BitNetError(
      "models/unexpected-dtype",
      `${entry.file}: ${entry.name}: want packed U8 weights, got ${entry.dtype}`,
    );
  }
  // First, for it waits in the core from now on.
  await packer.unpack(entry, "hf_ternary", to);
  const stored = await readScale(source, base);
  return plan.scheme.scaleMultiplies ? stored : Math.fround(1 / stored);
}

async function readScale({ tensors, reader }: TernarySource, base: string): Promise<number> {
  const entry = tensors.get(`${base}.weight_scale`, [1]);
  const [stored] = await readFloats(entry, reader);
  if (stored !== undefined && Number.isFinite(stored) && stored > 0) return stored;
  throw new BitNetError(
    "models/bad-scale",
    `${entry.file}: ${entry.name}: want a number above 0, got ${stored}`,
  );
}

/** GGUF: ternary where all blocks, or all floats, agree on one magnitude. */
async function readFound(
  { packer, checkpoint }: TernarySource,
  entry: TensorEntry,
  to: Weight,
): Promise<number | null> {
  const i2s = checkpoint.format === "gguf" && checkpoint.i2sLayout === 64 ? "i2_s_64" : "i2_s_128";
  const layouts: Record<string, LayoutName> = { TQ1_0: "tq1_0", TQ2_0: "tq2_0", I2_S: i2s };
  const layout = layouts[entry.dtype];
  if (layout) return equalScale(entry, await packer.unpack(entry, layout, to));
  if (!["F32", "F16", "BF16"].includes(entry.dtype)) return null;
  const { sum, max, minNonzero } = await packer.stats(entry);
  requireFinite(entry, sum);
  if (max === 0 || max !== minNonzero) return null;
  await packer.ternarize(entry, max, to);
  return max;
}

/** The one scale of blocks that agree; blocks of zeros have scale 0 and agree with all. */
function equalScale(entry: TensorEntry, scales: Float32Array): number | null {
  let common = 0;
  for (let index = 0; index < scales.length; index += 1) {
    const scale = scales[index]!;
    if (scale === common) continue;
    if (!Number.isFinite(scale) || scale < 0) {
      throw new BitNetError(
        "models/bad-scale",
        `${entry.file}: ${entry.name}: want scales from 0, got ${scale}`,
      );
    }
    if (scale === 0) continue;
    if (common !== 0 && scale !== common) return null;
    common = scale;
  }
  return common;
}

function requireFloats(entry: TensorEntry): void {
  if (["F32", "F16", "BF16"].includes(entry.dtype)) return;
  throw new BitNetError(
    "models/unexpected-dtype",
    `${entry.file}: ${entry.name}: want F32, F16 or BF16 weights, got ${entry.dtype}`,
  );
}
