/** Dequantization against gguf-py 0.19.0 (units/gguf_blocks.json) and whole GGUF files. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openCheckpoint, readTensorBytes } from "../../src/checkpoint/index.ts";
import {
  type DequantizableDType,
  decodeI2_S,
  decodeTq1_0,
  decodeTq2_0,
  dequantizeBlocks,
  type TernaryBlocks,
} from "../../src/quant/index.ts";

interface BlockCase {
  type: DequantizableDType;
  hex: string;
  values: number[];
}

const fixtures = join(import.meta.dir, "../fixtures");
const file = Bun.file(join(fixtures, "units/gguf_blocks.json"));
const { blocks }: { blocks: BlockCase[] } = await file.json();

describe("dequantizeBlocks", () => {
  for (const { type, hex, values } of blocks) {
    test(`${type} equals gguf-py bit for bit`, () => {
      const got = dequantizeBlocks(type, Uint8Array.fromHex(hex), values.length);
      expect(got).toEqual(Float32Array.from(values));
    });
  }

  test("reads bytes at any offset of a buffer", () => {
    const bytes = new Uint8Array(9);
    bytes.set(new Uint8Array(Float32Array.of(1.5, -2).buffer), 1);
    expect(dequantizeBlocks("F32", bytes.subarray(1), 2)).toEqual(Float32Array.of(1.5, -2));
  });

  test("refuses bytes that do not fit the count", () => {
    expect(() => dequantizeBlocks("Q8_0", new Uint8Array(34), 31)).toThrow("multiple of 32");
    expect(() => dequantizeBlocks("Q8_0", new Uint8Array(33), 32)).toThrow("want 34, got 33");
    expect(() => dequantizeBlocks("F16", new Uint8Array(2), 0.5)).toThrow("multiple of 1");
  });
});

describe("ternary tensors of whole GGUF files", () => {
  const decoders: Record<string, (bytes: Uint8Array, count: number) => TernaryBlocks> = {
    tq1_0: decodeTq1_0,
    tq2_0: decodeTq2_0,
    i2_s: decodeI2_S,
  };
  for (const [name, decode] of Object.entries(decoders)) {
    test(`${name}: weights and scales equal the reference`, async () => {
      const model = `bitnet-2b4t-${name}`;
      const { tensors } = await openCheckpoint(join(fixtures, `models/gguf/${model}.gguf`));
      const expected = await Bun.file(join(fixtures, `expected/gguf/${model}.json`)).json();
      const scales: Record<string, number> = expected.scales;
      for (const [tensor, scale] of Object.entries(scales)) {
        const entry = tensors.get(tensor)!;
        const count = entry.shape.reduce((product, extent) => product * extent, 1);
        const decoded = decode(await readTensorBytes(entry), count);
        expect(new Set(decoded.scales)).toEqual(new Set([Math.fround(scale)]));
      }
      const path = join(fixtures, `expected/gguf/${model}.ternary.safetensors`);
      const bytes = await Bun.file(path).bytes();
      const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
      const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes)));
      const [tensor = ""] = Object.keys(header).filter((key) => key !== "__metadata__");
      const entry = tensors.get(tensor)!;
      expect(entry.shape).toEqual(header[tensor].shape);
      const want = new Int8Array(bytes.buffer, 8 + headerBytes);
      expect(decode(await readTensorBytes(entry), want.length).ternary).toEqual(want);
    });
  }
});
