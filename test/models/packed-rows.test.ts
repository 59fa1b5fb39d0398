/** Packed Hugging Face matrices as loading packs them, where four does not divide their rows. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomFolder } from "../../bench/random-folder.ts";
import { geometries } from "../../bench/random-model.ts";
import { openCheckpoint, readTensorBytes } from "../../src/checkpoint/index.ts";
import { load } from "../../src/index.ts";
import { bitnetNames, inLayer, loadDecoder, matrixShape } from "../../src/models/index.ts";
import { packTile2, packTile3, unpackHfTernary } from "../../src/quant/index.ts";

const folder = mkdtempSync(join(tmpdir(), "packed-rows-"));
afterAll(() => rmSync(folder, { recursive: true }));

const config = {
  ...geometries.smoke,
  hiddenSize: 72,
  intermediateSize: 190,
  headCount: 3,
  groupCount: 1,
  headWidth: 22,
};

test("they become the tiles of the codes that they hold, and the model answers", async () => {
  const path = await randomFolder(folder, { name: "odd", config, names: bitnetNames });
  const checkpoint = await openCheckpoint(path);
  for (const [packing, pack] of [
    ["tile2", packTile2],
    ["tile3", packTile3],
  ] as const) {
    using loaded = await loadDecoder(checkpoint, { packing });
    expect(loaded.ternaryCount).toBe(7 * config.layerCount);
    for (const role of ["q", "k", "gate"] as const) {
      const [rows, cols] = matrixShape(config, role);
      expect(rows % 4).not.toBe(0);
      const entry = checkpoint.tensors.get(`${inLayer(bitnetNames[role], 1)}.weight`)!;
      const stored = await readTensorBytes(entry);
      const codes = unpackHfTernary(stored, [Math.ceil(rows / 4), cols]);
      const { region, offset } = loaded.decoder.weights.layers[1]![role].weight;
      const want = pack(codes.slice(0, rows * cols), rows, cols);
      expect(region.bytes(offset, want.length)).toEqual(want);
    }
  }
  await using model = await load(path, { precision: "exact" });
  const logits = await model.logits([1, 2, 3]);
  expect(logits.every(Number.isFinite)).toBe(true);
});
