/**
 * The forward pass of a BitLinear as a Program, from float weights to outputs, against
 * units/bitlinear (torch 2.15.0): integers exact, outputs within 1e-5.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Graph, type Value } from "../../src/graph/index.ts";
import { absmeanTernarize, packTile2 } from "../../src/quant/index.ts";
import { readFixtureTensors } from "../quant/read-tensors.ts";
import { everywhere, floats, regionOf } from "./everywhere.ts";
import { worstError } from "./reference.ts";

interface Case {
  name: string;
  x: [tokens: number, inputs: number];
  w: [outputs: number, inputs: number];
  bias: boolean;
  rms_norm: boolean;
  rms_norm_eps: number | null;
}

const units = join(import.meta.dir, "../fixtures/units");
const { cases } = (await Bun.file(join(units, "bitlinear.json")).json()) as { cases: Case[] };
const tensors = await readFixtureTensors(join(units, "bitlinear.safetensors"));

describe("BitLinear", () => {
  for (const { name, x, w, bias, rms_norm, rms_norm_eps } of cases) {
    const floatsOf = (part: string) => floats(tensors.get(`${name}.${part}`)!);

    for (const fuse of [false, true]) {
      test(`${name}, ${fuse ? "fused" : "as recorded"}: q is exact, y within 1e-5`, async () => {
        const [tokens, inputs] = x;
        const [outputs] = w;
        const { ternary, scale } = absmeanTernarize(floatsOf("w"));
        expect(ternary).toEqual(new Int8Array(tensors.get(`${name}.ternary`)!.buffer));
        using weights = regionOf(packTile2(ternary, outputs, inputs));
        using scales = regionOf(new Float32Array(outputs).fill(scale));
        const rowScale = {
          region: scales,
          offset: 0,
          dtype: "f32",
          layout: "strided",
          shape: [outputs],
        } as const;
        const packed = {
          region: weights,
          offset: 0,
          dtype: "i8",
          layout: "tile2",
          shape: w,
          rowScale,
        } as const;

        const graph = new Graph();
        let rows: Value = graph.input("x", "f32", x);
        if (rms_norm) {
          const gamma = graph.input("gamma", "f32", [inputs]);
          rows = graph.one("rms_norm", [rows, gamma], { attrs: { eps: rms_norm_eps! } });
        }
        const into = [graph.output("q", "i8", x), graph.output("a", "f32", [tokens])];
        const attrs = { levels: 127 };
        const quantized = graph.apply("quantize_rows", [rows], { attrs, into });
        const operands = [...quantized, graph.constant(packed)];
        if (bias) operands.push(graph.input("bias", "f32", [outputs]));
        graph.one("ternary_matmul", operands, {
          attrs: { has_bias: bias, has_residual: 0 },
          into: [graph.output("y", "f32", [tokens, outputs])],
        });

        const got = await everywhere(graph, {
          fuse,
          inputs: {
            x: floatsOf("x"),
            ...(bias && { bias: floatsOf("bias") }),
            ...(rms_norm && { gamma: floatsOf("gamma") }),
          },
        });
        expect(new Int8Array(got.q!.buffer)).toEqual(
          new Int8Array(tensors.get(`${name}.q`)!.buffer),
        );
        expect(worstError(floats(got.a!), floatsOf("a_scale"))).toBeLessThan(1e-6);
        expect(worstError(floats(got.y!), floatsOf("y"))).toBeLessThan(1e-5);
      });
    }
  }
});
