/** The seven packings: lossless for every shape, sized as foretold, strict about their bytes. */
import { describe, expect, test } from "bun:test";
import { packingNames } from "../../src/checkpoint/index.ts";
import { choosePacking, packMatrix, unpackMatrix } from "../../src/quant/index.ts";
import { patterns, raggedShapes } from "./packing-cases.ts";

describe("packings", () => {
  for (const packing of packingNames) {
    test(`${packing}: every shape and pattern comes back, in the size that was foretold`, () => {
      for (const shape of raggedShapes) {
        for (const [name, make] of Object.entries(patterns)) {
          const codes = make(shape[0] * shape[1]);
          const bytes = packMatrix(codes, shape, packing);
          const { sizes } = choosePacking(codes, shape);
          expect({ name, shape, size: bytes.length }).toEqual({
            name,
            shape,
            size: sizes[packing],
          });
          expect(unpackMatrix(bytes, shape, packing)).toEqual(codes);
        }
      }
    });

    test(`${packing}: a byte too few, one too many, or a changed one is refused or another matrix`, () => {
      const shape = [9, 37] as const;
      const codes = patterns.random!(9 * 37);
      const bytes = packMatrix(codes, shape, packing);
      const longer = new Uint8Array([...bytes, 3]);
      expect(() => unpackMatrix(longer, shape, packing)).toThrow();
      if (packing !== "sparse") {
        expect(() => unpackMatrix(bytes.subarray(1), shape, packing)).toThrow();
      }
      for (let at = 0; at < bytes.length; at += 1) {
        const changed = bytes.slice();
        changed[at]! ^= 1 + (at % 255);
        let got: Int8Array | undefined;
        try {
          got = unpackMatrix(changed, shape, packing);
        } catch (error) {
          expect((error as { code: string }).code).toStartWith("quant/");
          continue;
        }
        expect(got).not.toEqual(codes);
        expect(got.every((code) => code >= -1 && code <= 1)).toBe(true);
      }
    });
  }

  test("sizes are what the names promise", () => {
    const { sizes } = choosePacking(patterns.random!(640 * 100), [100, 640]);
    expect(sizes.uncompressed / sizes["two-bit"]).toBe(4);
    expect(sizes.uncompressed / sizes["base-3"]).toBe(5);
    expect(sizes["byte-aligned"]).toBe(sizes["two-bit"]);
  });

  test("the choice follows what the matrix is made of", () => {
    const shape = [64, 512] as const;
    const report = (name: string) => choosePacking(patterns[name]!(64 * 512), shape);
    expect(report("random").best).toBe("base-3");
    expect(report("zeros").best).toBe("sparse");
    expect(report("zeros").sparsity).toBe(1);
    expect(report("runs").best).toBe("run-length");
    expect(report("runs").runLongest).toBeGreaterThan(100);
    expect(report("few").best).toBe("sparse");
    expect(report("mixed").best).toBe("hybrid");
    expect(choosePacking(new Int8Array(0), [0, 5]).best).toBe("two-bit");
  });
});
