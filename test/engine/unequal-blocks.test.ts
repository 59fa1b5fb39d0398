/**
 * GGUF blocks whose scales differ: the matrix stays dense, with a warning, and computes what the
 * same values as floats do.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type LoadOptions, loadModel } from "../../src/engine/index.ts";
import { dequantizeBlocks } from "../../src/quant/index.ts";
import { compare, readReference } from "../models/reference.ts";
import { DamagedModels, ggufInfo, ggufTensor } from "./damaged-models.ts";

const typeOfF32 = 0;
const tensor = "blk.0.ffn_down.weight";
const formats = [
  { name: "bitnet-2b4t-tq2_0", dtype: "TQ2_0", blockSize: 66 },
  { name: "bitnet-2b4t-tq1_0", dtype: "TQ1_0", blockSize: 54 },
] as const;

let models: DamagedModels;
beforeAll(async () => {
  models = await DamagedModels.create();
});
afterAll(() => models[Symbol.asyncDispose]());

for (const { name, dtype, blockSize } of formats) {
  /** The fixture with the scale of each block multiplied. */
  async function scaled(factorOf: (block: number) => number): Promise<string> {
    const { offset, bytes: size } = await ggufTensor(name, tensor);
    return models.gguf(name, (bytes) => {
      const view = new DataView(bytes.buffer, offset, size);
      for (let block = 0; block < size / blockSize; block += 1) {
        const at = (block + 1) * blockSize - 2;
        view.setFloat16(at, view.getFloat16(at, true) * factorOf(block), true);
      }
      return bytes;
    });
  }

  async function logitsOf(path: string, ids: number[], options: LoadOptions = {}) {
    const warnings: string[] = [];
    await using model = await loadModel(path, {
      ...options,
      precision: "exact",
      onWarning: (text) => warnings.push(text),
    });
    return { logits: await model.logits(ids), warnings };
  }

  test(`${dtype}: scales that differ by a rounding stay near the reference`, async () => {
    const reference = await readReference(`gguf/${name}`);
    const ids = reference.prompts[0]!.input_ids;
    const path = await scaled((block) => (block % 2 === 0 ? 1 : 1 + 2 ** -10));
    const { logits, warnings } = await logitsOf(path, ids);
    expect(warnings).toEqual([
      `${tensor} (${dtype}) is not ternary with one scale: it is used as it is, slower`,
    ]);
    const { relativeL2 } = compare(logits, reference.tensors.get("logits.0")!, 512);
    // One matrix of fourteen has float activations here, int8 ones in the reference.
    expect(relativeL2).toBeLessThan(5e-2);
  });

  test(`${dtype}: scales that differ widely compute what the same floats compute`, async () => {
    const ids = [490, 5, 77, 300, 12, 9];
    const path = await scaled((block) => 0.25 * (1 + (block % 7)));
    const { logits, warnings } = await logitsOf(path, ids);
    expect(warnings).toHaveLength(1);
    const floats = await logitsOf(await withFloats(path), ids);
    expect(floats.warnings).toHaveLength(1);
    expect(logits.every((value) => Number.isFinite(value))).toBe(true);
    expect(logits).toEqual(floats.logits);
    const equal = await logitsOf(await scaled(() => 1), ids);
    expect(equal.warnings).toEqual([]);
    expect(compare(logits, equal.logits, 512).relativeL2).toBeGreaterThan(0.05);
  });

  /** The file with the tensor as F32 at its end. */
  async function withFloats(path: string): Promise<string> {
    const { offset, bytes: size, shape } = await ggufTensor(name, tensor);
    return models.gguf(name, async () => {
      const bytes = await Bun.file(path).bytes();
      const stored = bytes.subarray(offset, offset + size);
      const values = dequantizeBlocks(dtype, stored, shape[0]! * shape[1]!);
      const start = Math.ceil(bytes.length / 32) * 32;
      const grown = new Uint8Array(start + values.byteLength);
      grown.set(bytes);
      grown.set(new Uint8Array(values.buffer), start);
      const view = new DataView(grown.buffer);
      const info = ggufInfo(grown, tensor);
      const dataStart = offset - Number(view.getBigUint64(info.offset, true));
      view.setUint32(info.type, typeOfF32, true);
      view.setBigUint64(info.offset, BigInt(start - dataStart), true);
      return grown;
    });
  }
}
