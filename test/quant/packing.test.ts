/** Packings against reference bytes (units/packing.json, gguf 0.19.0 and transformers 5.23.0). */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  decodeI2_S,
  decodeTq1_0,
  decodeTq2_0,
  encodeI2_S,
  encodeTq1_0,
  encodeTq2_0,
  packHfTernary,
  packTile2,
  packTile3,
  tile2Bytes,
  tile3Bytes,
  unpackHfTernary,
  unpackTile2,
  unpackTile3,
} from "../../src/quant/index.ts";
import { randomTernary } from "./random-ternary.ts";

interface HfCase {
  shape: [number, number];
  ternary: number[][];
  packed_shape: [number, number];
  packed: number[][];
}
interface GgufCase {
  values: number;
  scale: number;
  ternary: number[];
  tq1_0_hex: string;
  tq1_0_dequantised_scale: number;
  tq2_0_hex: string;
  tq2_0_dequantised_scale: number;
  i2_s_hex: string;
  i2_s_arm_hex: string;
}

const fixture = join(import.meta.dir, "../fixtures/units/packing.json");
const cases: { hf_packing: HfCase[]; gguf_blocks: GgufCase[] } = await Bun.file(fixture).json();

describe("Hugging Face packing", () => {
  for (const { shape, ternary, packed, packed_shape } of cases.hf_packing) {
    const weights = Int8Array.from(ternary.flat());
    const bytes = Uint8Array.from(packed.flat());
    test(`packs and unpacks ${shape.join(" x ")} exactly`, () => {
      expect(packHfTernary(weights, shape)).toEqual(bytes);
      expect(unpackHfTernary(bytes, packed_shape, shape[0])).toEqual(weights);
    });
  }

  test("unpacks all four quarters when no row count is given", () => {
    expect(unpackHfTernary(Uint8Array.of(0b10_01_00_10), [1, 1])).toEqual(
      Int8Array.of(1, -1, 0, 1),
    );
  });

  test("refuses code 3 and bytes that do not fit the shape", () => {
    expect(() => unpackHfTernary(Uint8Array.of(0xff), [1, 1])).toThrow("code 3 at weight 0");
    expect(() => unpackHfTernary(new Uint8Array(3), [1, 2])).toThrow("want 2, got 3");
    expect(() => packHfTernary(new Int8Array(3), [2, 2])).toThrow("want 4, got 3");
  });
});

describe("GGUF ternary blocks", () => {
  for (const one of cases.gguf_blocks) {
    const ternary = Int8Array.from(one.ternary);

    test(`TQ1_0 of ${one.values} values equals the reference bytes both ways`, () => {
      const bytes = Uint8Array.fromHex(one.tq1_0_hex);
      expect(encodeTq1_0(ternary, one.scale)).toEqual(bytes);
      const scales = blockScales(ternary, one.tq1_0_dequantised_scale);
      expect(decodeTq1_0(bytes, one.values)).toEqual({ ternary, scales });
    });

    test(`TQ2_0 of ${one.values} values equals the reference bytes both ways`, () => {
      const bytes = Uint8Array.fromHex(one.tq2_0_hex);
      expect(encodeTq2_0(ternary, one.scale)).toEqual(bytes);
      const scales = blockScales(ternary, one.tq2_0_dequantised_scale);
      expect(decodeTq2_0(bytes, one.values)).toEqual({ ternary, scales });
    });

    test(`I2_S of ${one.values} values equals the reference bytes in both layouts`, () => {
      const scales = Float32Array.of(one.scale);
      for (const [layout, hex] of [
        [128, one.i2_s_hex],
        [64, one.i2_s_arm_hex],
      ] as const) {
        const bytes = Uint8Array.fromHex(hex);
        expect(encodeI2_S(ternary, one.scale, layout)).toEqual(bytes);
        expect(decodeI2_S(bytes, one.values, layout)).toEqual({ ternary, scales });
      }
    });
  }

  test("a block of zeros has scale 0 in TQ1_0 and TQ2_0", () => {
    const zeros = new Int8Array(256);
    expect(decodeTq1_0(encodeTq1_0(zeros, 2), 256).scales).toEqual(Float32Array.of(0));
    expect(decodeTq2_0(encodeTq2_0(zeros, 2), 256).scales).toEqual(Float32Array.of(0));
  });

  test("refuses partial blocks, short bytes and code 3", () => {
    expect(() => decodeTq1_0(new Uint8Array(54), 255)).toThrow("multiple of 256");
    expect(() => decodeTq2_0(new Uint8Array(65), 256)).toThrow("want 66, got 65");
    expect(() => decodeTq2_0(new Uint8Array(66).fill(0xff), 256)).toThrow("TQ2_0");
    expect(() => decodeI2_S(new Uint8Array(64).fill(0xff), 128)).toThrow("I2_S");
    expect(() => decodeI2_S(new Uint8Array(64), 64, 128)).toThrow("multiple of 128");
  });
});

describe("tile2", () => {
  for (const [rows, columns] of [
    [32, 16],
    [1, 1],
    [33, 17],
    [64, 48],
    [70, 130],
  ] as const) {
    test(`${rows} x ${columns} comes back unchanged`, () => {
      const ternary = randomTernary(rows * columns, rows + columns);
      const bytes = packTile2(ternary, rows, columns);
      expect(bytes.length).toBe(Math.ceil(rows / 32) * Math.ceil(columns / 16) * 128);
      expect(bytes.length).toBe(tile2Bytes(rows, columns));
      expect(unpackTile2(bytes, rows, columns)).toEqual(ternary);
    });
  }

  test("puts every weight where the format says", () => {
    const rows = 64;
    const columns = 32;
    for (const [row, column] of [
      [0, 0],
      [15, 3],
      [16, 4],
      [31, 15],
      [5, 17],
      [40, 9],
    ] as const) {
      const ternary = new Int8Array(rows * columns);
      ternary[row * columns + column] = 1;
      const tile = (row >> 5) * 2 + (column >> 4);
      const half = (row & 31) >> 4;
      const byte = tile * 128 + half * 64 + (row & 15) * 4 + (column & 3);
      const want = new Uint8Array(4 * 128).fill(0x55);
      want[byte]! += 1 << (2 * ((column & 15) >> 2));
      expect(packTile2(ternary, rows, columns)).toEqual(want);
    }
  });

  test("refuses bytes of another size and code 3", () => {
    expect(() => unpackTile2(new Uint8Array(127), 32, 16)).toThrow("want 128, got 127");
    expect(() => unpackTile2(new Uint8Array(128).fill(0xff), 32, 16)).toThrow("tile2");
  });
});

describe("tile3", () => {
  for (const [rows, columns] of [
    [32, 20],
    [1, 1],
    [31, 19],
    [33, 21],
    [64, 60],
    [70, 130],
  ] as const) {
    test(`${rows} x ${columns} comes back unchanged`, () => {
      const ternary = randomTernary(rows * columns, rows + columns);
      const bytes = packTile3(ternary, rows, columns);
      expect(bytes.length).toBe(Math.ceil(rows / 32) * Math.ceil(columns / 20) * 128);
      expect(bytes.length).toBe(tile3Bytes(rows, columns));
      expect(unpackTile3(bytes, rows, columns)).toEqual(ternary);
    });
  }

  test("gives each of the 243 combinations a byte of its own, below 243", () => {
    const bytes = new Set<number>();
    for (let index = 0; index < 243; index += 1) {
      const weights = [1, 3, 9, 27, 81].map((power) => (Math.floor(index / power) % 3) - 1);
      const ternary = Int8Array.from({ length: 20 }, (_, column) => weights[column >> 2]!);
      const [byte, ...others] = packTile3(ternary, 1, 20).subarray(0, 4);
      expect(others).toEqual([byte!, byte!, byte!]);
      expect(byte).toBeLessThan(243);
      bytes.add(byte!);
    }
    expect(bytes.size).toBe(243);
  });

  test("puts every weight where the format says", () => {
    const rows = 64;
    const columns = 40;
    const zero = 64 + 16 + 13;
    // By the group whose code is 2; 1 + 3 * 2 + 9 and 1 + 3 + 9 * 2 are too much for four bits.
    const bytes = [64 + 16 + 14, 64 + 48 + 1, 64 + 32 + 13, 192 + 16 + 3, 128 + 16 + 13];
    for (const [row, column] of [
      [0, 0],
      [15, 3],
      [16, 4],
      [31, 18],
      [5, 29],
      [40, 19],
    ] as const) {
      const ternary = new Int8Array(rows * columns);
      ternary[row * columns + column] = 1;
      const tile = (row >> 5) * 2 + Math.floor(column / 20);
      const byte = tile * 128 + (row & 31) * 4 + (column & 3);
      const group = (column % 20) >> 2;
      const want = new Uint8Array(4 * 128).fill(zero);
      want[byte] = bytes[group]!;
      expect(packTile3(ternary, rows, columns)).toEqual(want);
    }
  });

  test("refuses bytes of another size and bytes that do not occur", () => {
    expect(() => unpackTile3(new Uint8Array(127), 32, 20)).toThrow("want 128, got 127");
    expect(() => unpackTile3(new Uint8Array(128).fill(243), 32, 20)).toThrow("got byte 243 at 0");
  });
});

/** The scale of each block of 256: `scale`, or 0 where all weights are. */
function blockScales(ternary: Int8Array, scale: number): Float32Array {
  const blocks = Array.from({ length: ternary.length / 256 }, (_, index) =>
    ternary.subarray(index * 256, (index + 1) * 256),
  );
  return Float32Array.from(blocks, (block) => (block.every((weight) => weight === 0) ? 0 : scale));
}
