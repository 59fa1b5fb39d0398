/** convert, and the casts of copy, as Programs: every pair of plain dtypes, and what was lost. */
import { describe, expect, test } from "bun:test";
import { Graph, Program, type Value } from "../../src/graph/index.ts";
import type { PlainDType } from "../../src/memory/index.ts";
import {
  converted,
  decode,
  encode,
  isFloat,
  plainDTypes,
  type ReferenceKind,
  sameValues,
  sourceOf,
} from "../memory/plain-reference.ts";
import { everywhere } from "./everywhere.ts";

const castDTypes = ["f32", "f16", "bf16", "f64", "i32", "i8", "u8", "bool"] as const;
const pairs = plainDTypes.flatMap((from) =>
  plainDTypes.filter((to) => to !== from).map((to) => [from, to] as const),
);

/** `count` elements in a state of their own, as one row. */
function row(graph: Graph, name: string, { dtype, count }: { dtype: PlainDType; count: number }) {
  const bytes = encode(dtype, new Array(count).fill(0)).byteLength;
  const storage = graph.state(name, bytes);
  if (dtype === "i4") return graph.packedState(storage, "i4", [1, count]);
  return graph.stateValue(storage, { dtype, dims: [1, count] });
}

interface Kind extends ReferenceKind {
  from: PlainDType;
  to: PlainDType;
  losses?: boolean;
}

function recorded(kind: Kind, count: number): { graph: Graph; x: Value; y: Value } {
  const graph = new Graph();
  const x = row(graph, "x", { dtype: kind.from, count });
  const y = row(graph, "y", { dtype: kind.to, count });
  const attrs = {
    scale: kind.scale ?? 1,
    zero_point: kind.zeroPoint ?? 0,
    has_losses: kind.losses ? 1 : 0,
  };
  const losses = kind.losses && graph.output("losses", "f64", [Math.ceil(count / 1024), 4]);
  graph.apply("convert", [x], { attrs, into: [y, losses || undefined] });
  return { graph, x, y };
}

describe("convert", () => {
  for (const [from, to] of pairs) {
    test(`${from} to ${to}: every value, or every kind of it`, async () => {
      const { bytes, count } = sourceOf(from);
      const { y } = await everywhere(recorded({ from, to }, count).graph, { states: { x: bytes } });
      expect(sameValues(to, y!, converted({ from, to }, bytes, count))).toBe(true);
    });
  }

  const scaled: Kind[] = [
    { from: "f32", to: "i8", scale: 0.031, zeroPoint: -3 },
    { from: "f32", to: "u8", scale: 0.5, zeroPoint: 255 },
    { from: "f32", to: "i32", scale: 1e-3 },
    { from: "bf16", to: "i4", scale: 3, zeroPoint: 7 },
    { from: "f16", to: "u8", scale: 1e-30, zeroPoint: 128 },
    { from: "i8", to: "f32", scale: 0.031, zeroPoint: -3 },
    { from: "i4", to: "f16", scale: 1e-6, zeroPoint: -8 },
    { from: "u8", to: "bf16", scale: 1.1, zeroPoint: 1 },
    { from: "i32", to: "f32", scale: 1e-9 },
  ];
  for (const kind of scaled) {
    const { from, to, scale, zeroPoint = 0 } = kind;
    test(`${from} to ${to} by ${scale} around ${zeroPoint}: rounded in f32, then clipped`, async () => {
      const { bytes, count } = sourceOf(from);
      const { y } = await everywhere(recorded(kind, count).graph, { states: { x: bytes } });
      expect(sameValues(to, y!, converted(kind, bytes, count))).toBe(true);
    });
  }

  test("losses: errors of finite elements, clipped ones, such that are no number", async () => {
    for (const kind of [
      { from: "f32", to: "f16" },
      { from: "f32", to: "i8", scale: 0.25, zeroPoint: 5 },
      { from: "i32", to: "bf16" },
      { from: "i32", to: "i8" },
      { from: "u8", to: "f16", scale: 0.1, zeroPoint: 100 },
    ] as const) {
      const { bytes, count } = sourceOf(kind.from);
      const { graph } = recorded({ ...kind, losses: true }, count);
      const { y, losses } = await everywhere(graph, { states: { x: bytes } });
      const rows = new Float64Array(losses!.buffer);
      const got = [0, 0, 0, 0];
      for (let at = 0; at < rows.length; at += 4) {
        got[0]! += rows[at]!;
        got[1] = Math.max(got[1]!, rows[at + 1]!);
        got[2]! += rows[at + 2]!;
        got[3]! += rows[at + 3]!;
      }
      const want = lossOf(kind, { x: bytes, y: y!, count });
      expect(Math.abs(got[0]! - want[0]!)).toBeLessThanOrEqual(1e-9 * want[0]!);
      expect(got.slice(1)).toEqual(want.slice(1));
    }
  });

  test("refuses scales between two of a kind, zero points out of range, and too few rows", () => {
    for (const wrong of [
      { from: "f32", to: "f16", scale: 2 },
      { from: "i8", to: "i4", zeroPoint: 1 },
      { from: "f32", to: "i8", zeroPoint: 128 },
      { from: "f32", to: "i32", zeroPoint: 1 },
      { from: "f32", to: "u8", scale: 0 },
      { from: "f32", to: "u8", scale: Number.POSITIVE_INFINITY },
    ] as const) {
      const { graph } = recorded(wrong, 40);
      expect(() => new Program(graph)).toThrow("an operand does not fit the operation");
    }
    const graph = new Graph();
    const operands = [row(graph, "x", { dtype: "f32", count: 1025 })];
    const into = [row(graph, "y", { dtype: "i8", count: 1025 }), graph.output("l", "f64", [1, 4])];
    graph.apply("convert", operands, { attrs: { scale: 1, zero_point: 0, has_losses: 1 }, into });
    expect(() => new Program(graph)).toThrow("an operand does not fit the operation");
  });
});

describe("copy", () => {
  for (const from of castDTypes) {
    test(`${from} to every other dtype: adjacent elements, columns and slices`, async () => {
      const { bytes } = sourceOf(from);
      const width = 50;
      for (const to of castDTypes) {
        if (from === to) continue;
        const graph = new Graph();
        const x = graph.stateValue(graph.state("x", bytes.byteLength), {
          dtype: from,
          dims: [5, width],
        });
        graph.one("copy", [x], { into: [graph.output("plain", to, [5, width])] });
        graph.one("copy", [x.permute([1, 0])], { into: [graph.output("turned", to, [width, 5])] });
        const wide = graph.output("wide", to, [5, width + 3]).slice(1, 2, width);
        graph.one("copy", [x], { into: [wide] });
        const got = await everywhere(graph, { states: { x: bytes } });
        const want = converted({ from, to }, bytes, 5 * width);
        expect(sameValues(to, got.plain!, want)).toBe(true);
        const values = decode(to, want, 5 * width);
        const turned = decode(to, got.turned!, 5 * width);
        const sliced = decode(to, got.wide!, 5 * (width + 3));
        const line = (i: number) => Math.floor(i / width);
        expect(values.map((_, i) => turned[(i % width) * 5 + line(i)])).toEqual(values);
        expect(values.map((_, i) => sliced[line(i) * (width + 3) + 2 + (i % width)])).toEqual(
          values,
        );
      }
    });
  }

  test("f64 and bool: every kind of value rounds once", async () => {
    for (const [from, to] of castDTypes.flatMap((a) => castDTypes.map((b) => [a, b] as const))) {
      if (from === to || ![from, to].some((dtype) => dtype === "f64" || dtype === "bool")) continue;
      const { bytes, count } = sourceOf(from);
      const graph = new Graph();
      const x = graph.stateValue(graph.state("x", bytes.byteLength), {
        dtype: from,
        dims: [count],
      });
      graph.one("copy", [x], { into: [graph.output("y", to, [count])] });
      const { y } = await everywhere(graph, { states: { x: bytes } });
      expect(sameValues(to, y!, converted({ from, to }, bytes, count))).toBe(true);
    }
  });

  test("refuses dtypes that have no cast", () => {
    for (const [from, to] of [
      ["u32", "f32"],
      ["i16", "i32"],
      ["f64", "u32"],
    ] as const) {
      const graph = new Graph();
      graph.one("copy", [graph.input("x", from, [4])], { into: [graph.output("y", to, [4])] });
      expect(() => new Program(graph)).toThrow("an operand does not fit the operation");
    }
  });
});

/** Sum and largest error, clipped, not numbers, from the values alone. */
function lossOf(
  kind: ReferenceKind,
  { x, y, count }: { x: Uint8Array<ArrayBuffer>; y: Uint8Array<ArrayBuffer>; count: number },
): number[] {
  const { from, to, scale = 1, zeroPoint = 0 } = kind;
  const step = Math.fround(scale);
  const crosses = isFloat(from) !== isFloat(to);
  const stands = (codes: number[]) => codes.map((code) => (code - zeroPoint) * step);
  const before = decode(from, x, count);
  const after = decode(to, y, count);
  const want = crosses && isFloat(to) ? stands(before) : before;
  const got = crosses && isFloat(from) ? stands(after) : after;
  const loss = [0, 0, 0, 0];
  want.forEach((value, i) => {
    if (Number.isNaN(value)) loss[3]! += 1;
    if (isFloat(to) && Number.isFinite(value) && !Number.isFinite(got[i])) loss[2]! += 1;
    if (!isFloat(to) && isClipped(kind, value, after[i]!)) loss[2]! += 1;
    if (!Number.isFinite(value) || !Number.isFinite(got[i])) return;
    loss[0]! += Math.abs(got[i]! - value);
    loss[1] = Math.max(loss[1]!, Math.abs(got[i]! - value));
  });
  return loss;
}

/** Whether rounding would have left the integer's range. */
function isClipped({ scale = 1, zeroPoint = 0 }: ReferenceKind, value: number, code: number) {
  if (Number.isNaN(value)) return false;
  const rounded = Math.round(Math.fround(value / Math.fround(scale)));
  return (
    Math.abs(rounded + zeroPoint - code) > 0.5 && Math.abs(value / scale + zeroPoint - code) > 0.5
  );
}
