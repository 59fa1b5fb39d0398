/** A barrier that is left out anywhere makes the program invalid: no race gets to run. */
import { describe, expect, test } from "bun:test";
import { planGraph } from "../../src/graph/compile.ts";
import { encodeProgram } from "../../src/graph/encode.ts";
import { Graph, Sym } from "../../src/graph/index.ts";
import { InstrFlag, NativeProgram, noSlot } from "../../src/native/index.ts";
import { planShared } from "../graph/everywhere.ts";
import { openDecoder, recordDecode, recordLogits } from "../graph/model-graph.ts";
import { BlobEditor } from "./blob-editor.ts";

function create(bytes: Uint8Array): void {
  new NativeProgram(bytes, 1)[Symbol.dispose]();
}

describe("barriers", () => {
  /** Drops each barrier in turn. */
  function expectAllNeeded(bytes: Uint8Array): number {
    const source = new BlobEditor(bytes);
    let barriers = 0;
    for (let index = 0; index < source.count("instr"); index += 1) {
      const flags = source.get("instr", index, "flags");
      if ((flags & InstrFlag.barrier_before) === 0) continue;
      barriers += 1;
      const dropped = flags & ~InstrFlag.barrier_before;
      const editor = new BlobEditor(bytes).set("instr", index, { flags: dropped });
      expect(() => create(editor.bytes)).toThrow(`instruction ${index}: a barrier is missing`);
    }
    return barriers;
  }

  for (const name of ["bitnet-2b4t-packed", "llama-rmsnorm-packed", "long-context"]) {
    test(`${name}: every barrier of its programs is needed, and none is missed`, async () => {
      using loaded = await openDecoder(name);
      for (const fuse of [true, false]) {
        const decode = new Graph();
        recordDecode(decode, loaded.decoder, 2);
        const logits = new Graph();
        const rows = new Sym("rows", 128, 1);
        recordLogits(logits, loaded.decoder, { rows, sequences: 1, pages: 2 });
        for (const graph of [decode, logits]) {
          expect(expectAllNeeded(encodeProgram(planGraph(graph, { fuse })))).toBeGreaterThan(5);
        }
      }
    });
  }

  test("serial instructions order themselves, but not before shared ones", () => {
    const graph = new Graph();
    const x = graph.one("copy", [graph.input("x", "f32", [8])]);
    const y = graph.one("add", [x, x]);
    graph.one("copy", [y], { into: [graph.output("y", "f32", [8])] });
    const serial = encodeProgram(planGraph(graph, { fuse: false }));
    create(serial);
    for (const index of [0, 1]) {
      const editor = new BlobEditor(serial).set("instr", index, { flags: 0 });
      expect(() => create(editor.bytes)).toThrow("instruction 1: a barrier is missing");
    }
  });

  test("a predicate and row scales count as read", () => {
    const graph = new Graph();
    const on = graph.one("copy", [graph.input("on", "i32", [1])]);
    const [x, y] = [graph.input("x", "f32", [4]), graph.output("y", "f32", [4])];
    graph.one("add", [x, x], { into: [y], predicate: on });
    const shared = encodeProgram(planShared(graph));
    const editor = new BlobEditor(shared).set("instr", 1, { flags: 0 });
    expect(() => create(editor.bytes)).toThrow("instruction 1: a barrier is missing");
    expect(new BlobEditor(shared).get("instr", 0, "predicate_slot")).toBe(noSlot);
  });
});
