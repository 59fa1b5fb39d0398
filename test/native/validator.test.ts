/**
 * The validator refuses every program that could read or write where it should not, race, or
 * change what is constant, and names the part that is wrong.
 */
import { describe, expect, test } from "bun:test";
import { encodeProgram } from "../../src/graph/encode.ts";
import { Graph, Sym } from "../../src/graph/index.ts";
import { DType, Layout, NativeProgram, Op, RegionKind } from "../../src/native/index.ts";
import { everyOp } from "../graph/every-op.ts";
import { planShared, regionOf } from "../graph/everywhere.ts";
import { BlobEditor } from "./blob-editor.ts";

/** A constant table, an arena, a state with a predicate, an output, a feedback and a symbol. */
function sampleGraph(): Graph {
  const graph = new Graph();
  const rows = new Sym("rows", 4, 1);
  const region = regionOf(new Float32Array(9 * 16));
  const shape = [9, 16];
  const table = graph.constant({ region, offset: 0, dtype: "f32", layout: "strided", shape });
  const ids = graph.input("ids", "i32", [rows]);
  const x = graph.one("embedding", [ids, table]);
  const gamma = graph.input("gamma", "f32", [16]);
  const [q, a] = graph.apply("rms_norm_quantize", [x, gamma], { attrs: { eps: 1e-5 } });
  graph.one("copy", [q!], { into: [graph.output("q", "i8", [rows, 16])] });
  const sum = graph.stateValue(graph.state("sum", 16), { dtype: "f32", dims: [4] });
  const predicate = graph.input("on", "i32", [1]);
  const delta = graph.input("delta", "f32", [4]);
  graph.one("add", [sum, delta], { into: [sum], predicate, commit: true });
  graph.one("copy", [a!], { into: [graph.output("a", "f32", [rows])] });
  graph.feedback(graph.one("copy", [ids]), ids);
  return graph;
}

const plan = planShared(sampleGraph());
const blob = encodeProgram(plan);
const ops = plan.steps.map(({ node }) => node.op);

function create(bytes: Uint8Array): void {
  new NativeProgram(bytes, 1)[Symbol.dispose]();
}

/** Index of the instruction, and of its operand's slot, inputs first. */
function operandOf(editor: BlobEditor, op: string, index: number): { instr: number; slot: number } {
  const instr = ops.indexOf(op as never);
  return { instr, slot: editor.get("operand", editor.get("instr", instr, "operands") + index) };
}

/** Dims and strides of one operand of an op's instruction. */
function dimOf(editor: BlobEditor, op: string, [operand, axis]: [number, number]): number {
  return editor.get("slot", operandOf(editor, op, operand).slot, "dims") + axis;
}

function strideOf(editor: BlobEditor, op: string, [operand, axis]: [number, number]): number {
  return editor.get("slot", operandOf(editor, op, operand).slot, "strides") + axis;
}

function regionAt(kind: number, editor: BlobEditor): number {
  for (let row = 0; row < editor.count("region"); row += 1) {
    if (editor.get("region", row, "kind") === kind) return row;
  }
  throw new Error(`no region of kind ${kind}`);
}

type Edit = (editor: BlobEditor) => void;

const quantize = "rms_norm_quantize";

function expectRefusals(cases: Record<string, [Edit, string | RegExp]>): void {
  for (const [title, [edit, message]] of Object.entries(cases)) {
    test(title, () => {
      const editor = new BlobEditor(blob);
      edit(editor);
      let refusal: unknown;
      try {
        create(editor.bytes);
      } catch (error) {
        refusal = error;
      }
      expect(refusal).toMatchObject({ code: "native/invalid-program" });
      expect((refusal as Error).message).toMatch(message);
    });
  }
}

/** Changes the slot of one operand of an op's instruction. */
function slot(op: string, operand: number, changes: Record<string, number | bigint>): Edit {
  return (editor) => editor.set("slot", operandOf(editor, op, operand).slot, changes);
}

function instr(op: string, changes: Record<string, number>): Edit {
  return (editor) => editor.set("instr", ops.indexOf(op as never), changes);
}

test("the sample and all ops are valid as they are", () => {
  create(blob);
  for (const { graph } of everyOp().values()) create(encodeProgram(planShared(graph)));
});

describe("refused tables", () => {
  const leaves = /slot \d+: extents leave the region/;
  expectRefusals({
    "another magic": [(e) => e.setHeader("magic", 1), "header 0"],
    "another contract": [(e) => e.setHeader("abi_hash", 1), "header 0"],
    "more slots than bytes": [(e) => e.setHeader("slot_count", 2 ** 32 - 1), "header 0"],
    "one dim too few": [(e) => e.setHeader("dim_count", e.count("dim") - 1), "header 0"],
    "a size whose least is above its most": [(e) => e.set("sym", 0, { min: 5 }), "sym 0"],
    "a size beyond all machines": [(e) => e.set("sym", 0, { max: 2 ** 26 + 1 }), "sym 0"],
    "a region of no kind": [(e) => e.set("region", 1, { kind: 5 }), "region 1: kind"],
    "alignment 0": [(e) => e.set("region", 0, { alignment: 0 }), "region 0"],
    "alignment 48": [(e) => e.set("region", 0, { alignment: 48 }), "region 0"],
    "alignment 128": [(e) => e.set("region", 0, { alignment: 128 }), "region 0"],
    "a region of 2^60 bytes": [(e) => e.set("region", 1, { size_at_max: 2n ** 60n }), "region 1"],
    "an extent of no symbol": [(e) => e.set("dim", 0, { sym: 7, mul: 1 }), "dim 0"],
    "a constant that multiplies": [(e) => e.set("dim", 0, { sym: 0xffff, mul: 1 }), "dim 0"],
    "an extent over 32 bits": [
      (e) => e.set("dim", 0, { sym: 0, mul: 2 ** 31, add: 0 }),
      "dim 0: symbol or extent",
    ],
    "an extent below 0 at the least size": [
      (e) => {
        e.set("sym", 0, { min: 1 });
        e.set("dim", 0, { sym: 0, mul: 1, add: 2 ** 32 - 2 });
      },
      "dim 0: symbol or extent",
    ],
    "a slot in no region": [slot("embedding", 0, { region: 99 }), leaves],
    "a slot of no dtype": [slot("embedding", 0, { dtype: 10 }), leaves],
    "a slot of no layout": [slot("embedding", 0, { layout: 11 }), leaves],
    "seven axes": [slot("embedding", 0, { rank: 7 }), leaves],
    "dims behind the table": [slot("embedding", 0, { dims: 2 ** 32 - 1 }), leaves],
    "strides behind the table": [slot("embedding", 0, { strides: 2 ** 32 - 1 }), leaves],
    "an offset behind the region": [slot("embedding", 1, { offset: 2n ** 40n }), leaves],
    "an offset of 2^64 - 4": [slot("embedding", 1, { offset: 2n ** 64n - 4n }), leaves],
    "one element behind the end": [slot("embedding", 1, { offset: 4 }), leaves],
    "one element before the start": [
      (e) => e.set("stride", strideOf(e, "embedding", [1, 0]), { value: -16 }),
      leaves,
    ],
    "a stride of 2^62": [
      (e) => e.set("stride", strideOf(e, "embedding", [1, 0]), { value: 2n ** 62n }),
      leaves,
    ],
    "a stride of -2^63": [
      (e) => e.set("stride", strideOf(e, "embedding", [1, 0]), { value: -(2n ** 63n) }),
      leaves,
    ],
    "a huge stride in a slot without elements": [
      (e) => {
        e.set("dim", dimOf(e, "embedding", [1, 1]), { sym: 0xffff, mul: 0, add: 0 });
        e.set("stride", strideOf(e, "embedding", [1, 0]), { value: 2n ** 62n });
      },
      leaves,
    ],
    "row scales of a slot that is not there": [
      slot("embedding", 1, { row_scale_slot: 9999, layout: Layout.q8_0 }),
      /slot \d+: (row scales|extents)/,
    ],
    "row scales of a plain slot": [slot("embedding", 0, { row_scale_slot: 0 }), "row scales"],
  });

  test("no bytes, half the bytes, and bytes too many", () => {
    for (const bytes of [
      new Uint8Array(0),
      new Uint8Array(47),
      blob.slice(0, blob.length / 2),
      new Uint8Array([...blob, 0]),
      new Uint8Array([...blob, ...new Uint8Array(24)]),
    ]) {
      expect(() => create(bytes)).toThrow("header 0: the tables do not fit the size");
    }
  });
});

describe("refused instructions", () => {
  const unfit = /instruction \d+: an operand does not fit/;
  const overlap = /instruction \d+: an output overlaps/;
  expectRefusals({
    "no such op": [instr("embedding", { op: 999 }), "instruction 0: tables"],
    "no such flag": [instr("embedding", { flags: 8 }), "instruction 0: tables"],
    "operands behind the table": [instr("embedding", { operands: 2 ** 31 }), "instruction 0"],
    "attributes behind the table": [instr(quantize, { attrs: 2 ** 32 - 1 }), "instruction 1"],
    "an operand that is no slot": [(e) => e.set("operand", 0, { value: 9999 }), "instruction 0"],
    "a predicate that is no slot": [instr("add", { predicate_slot: 9999 }), "tables"],
    "a predicate of floats": [
      (e) => e.set("instr", 0, { predicate_slot: operandOf(e, "embedding", 1).slot }),
      "instruction 0: tables",
    ],
    "a predicate of several elements": [
      (e) => e.set("instr", 1, { predicate_slot: operandOf(e, "embedding", 0).slot }),
      "instruction 1: tables",
    ],
    "an operand too few": [instr(quantize, { input_count: 1, output_count: 3 }), unfit],
    "an operand of another dtype": [slot(quantize, 1, { dtype: DType.i32 }), unfit],
    "an output of another dtype": [slot(quantize, 2, { dtype: DType.u8 }), unfit],
    "an operand at an odd address": [
      (e) => {
        slot(quantize, 1, { offset: 2 })(e);
        e.set("region", e.get("slot", operandOf(e, quantize, 1).slot, "region"), {
          size_at_max: 128,
        });
      },
      unfit,
    ],
    "extents that agree at most only": [
      (e) => e.set("dim", dimOf(e, "embedding", [2, 0]), { sym: 0xffff, mul: 0, add: 4 }),
      unfit,
    ],
    "another op for the same operands": [instr("embedding", { op: Op.attention }), unfit],
    "an output among the constants": [
      (e) => e.set("region", regionAt(RegionKind.state, e), { kind: RegionKind.constant }),
      overlap,
    ],
    "an output that repeats itself": [
      (e) => e.set("stride", strideOf(e, quantize, [2, 0]), { value: 15 }),
      overlap,
    ],
    "two outputs in one place": [
      (e) => {
        const { slot: from } = operandOf(e, quantize, 2);
        const place = {
          offset: e.get("slot", from, "offset"),
          region: e.get("slot", from, "region"),
        };
        slot(quantize, 3, place)(e);
      },
      overlap,
    ],
    "an output over an input": [
      (e) =>
        slot(quantize, 2, { offset: e.get("slot", operandOf(e, quantize, 0).slot, "offset") })(e),
      overlap,
    ],
    "an output over its predicate": [
      (e) => {
        const { slot: predicate } = { slot: e.get("instr", ops.indexOf("add"), "predicate_slot") };
        e.set("slot", predicate, { region: regionAt(RegionKind.state, e), offset: 0 });
      },
      overlap,
    ],
  });

  test("packed weights whose tiles do not start on a vector, or whose rows are too long", () => {
    const source = encodeProgram(planShared(everyOp().get("ternary_matmul")!.graph));
    const tiles = new BlobEditor(source);
    let weights = 0;
    while (tiles.get("slot", weights, "layout") !== Layout.tile2) weights += 1;
    const { region } = { region: tiles.get("slot", weights, "region") };
    tiles.set("region", region, { size_at_max: 2 ** 30 }).set("slot", weights, { offset: 2 ** 20 });
    create(tiles.bytes);
    const moved = new BlobEditor(tiles.bytes).set("slot", weights, { offset: 2 ** 20 + 32 });
    expect(() => create(moved.bytes)).toThrow(unfit);
    const loose = new BlobEditor(tiles.bytes).set("region", region, { alignment: 16 });
    expect(() => create(loose.bytes)).toThrow(unfit);
    const long = new BlobEditor(tiles.bytes);
    for (const place of [0, weights])
      long.set("dim", long.get("slot", place, "dims") + 1, { add: 2 ** 17 + 16 });
    expect(() => create(long.bytes)).toThrow(/extents leave|does not fit/);
  });
});

describe("refused feedbacks", () => {
  const ids = (e: BlobEditor): number => operandOf(e, "embedding", 0).slot;
  expectRefusals({
    "from no slot": [(e) => e.set("feedback", 0, { from: 9999 }), "feedback 0: slots differ"],
    "to no slot": [(e) => e.set("feedback", 0, { to: 9999 }), "feedback 0: slots differ"],
    "to a constant": [
      (e) => e.set("feedback", 0, { to: operandOf(e, "embedding", 1).slot }),
      "feedback 0: slots differ",
    ],
    "into the arena": [
      (e) => e.set("feedback", 0, { from: ids(e), to: e.get("feedback", 0, "from") }),
      "feedback 0",
    ],
    "onto itself": [(e) => e.set("feedback", 0, { from: ids(e) }), "feedback 0: it reads"],
    "of other extents": [
      (e) => e.set("feedback", 0, { from: operandOf(e, "embedding", 2).slot }),
      "feedback 0: slots differ",
    ],
  });
});
