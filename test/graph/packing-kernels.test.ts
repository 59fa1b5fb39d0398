/** unpack_packed on every level and thread count against the definitions of the packings. */
import { describe, expect, test } from "bun:test";
import { packingNames } from "../../src/checkpoint/index.ts";
import { Graph, Program } from "../../src/graph/index.ts";
import { Region } from "../../src/native/index.ts";
import { type MatrixShape, packMatrix } from "../../src/quant/index.ts";
import { patterns, raggedShapes } from "../quant/packing-cases.ts";
import { everywhere } from "./everywhere.ts";

function unpackGraph(size: number, [rows, columns]: MatrixShape, packing: number): Graph {
  const graph = new Graph();
  const bytes = graph.input("bytes", "u8", [size]);
  const codes = graph.stateValue(graph.state("codes", rows * columns), {
    dtype: "i8",
    dims: [rows, columns],
  });
  graph.apply("unpack_packed", [bytes], { attrs: { packing, rows, columns }, into: [codes] });
  return graph;
}

describe("unpack_packed", () => {
  for (const [index, packing] of packingNames.entries()) {
    test(`${packing}: every shape and pattern equals the reference`, async () => {
      for (const shape of raggedShapes.filter(([rows]) => rows > 0)) {
        for (const make of [patterns.random!, patterns.mixed!, patterns.runs!]) {
          const codes = make(shape[0] * shape[1]);
          const bytes = packMatrix(codes, shape, packing);
          // Nothing but zeros takes no bytes in sparse.
          if (bytes.length === 0) continue;
          const got = await everywhere(unpackGraph(bytes.length, shape, index), {
            inputs: { bytes },
          });
          expect(new Int8Array(got.codes!.buffer)).toEqual(codes);
        }
      }
    });

    test(`${packing}: a changed byte is reported, or is another matrix's`, async () => {
      const shape = [9, 37] as const;
      const codes = patterns.random!(9 * 37);
      const bytes = packMatrix(codes, shape, packing);
      using program = new Program(unpackGraph(bytes.length, shape, index));
      using target = Region.create(9 * 37);
      for (let at = 0; at < bytes.length; at += 3) {
        const changed = bytes.slice();
        changed[at]! ^= 1 + (at % 255);
        const outcome = program.submit({ inputs: { bytes: changed }, regions: { codes: target } });
        const code = await outcome.then(
          () => "",
          (error: { code: string; message: string }) => {
            expect(error.message).toContain("packing broken");
            return error.code;
          },
        );
        const got = new Int8Array(target.bytes(0, 9 * 37).slice().buffer);
        if (code === "") expect(got).not.toEqual(codes);
        else expect(code).toBe("native/run-failed");
      }
    });
  }

  test("a number that is no packing is refused before anything runs", () => {
    expect(() => new Program(unpackGraph(4, [1, 4], packingNames.length))).toThrow();
  });
});
