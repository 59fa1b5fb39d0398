/** The two BitNet quantizers against units/bitlinear (torch 2.15.0), and y = (q . T) s / a. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  absmeanTernarize,
  packHfTernary,
  quantizeActivation,
  roundHalfEven,
} from "../../src/quant/index.ts";
import { readFixtureTensors } from "./read-tensors.ts";

interface BitLinearCase {
  name: string;
  x: [number, number];
  w: [number, number];
  bias: boolean;
  rms_norm_eps: number | null;
}

const units = join(import.meta.dir, "../fixtures/units");
const { cases }: { cases: BitLinearCase[] } = await Bun.file(join(units, "bitlinear.json")).json();
const tensors = await readFixtureTensors(join(units, "bitlinear.safetensors"));

describe("units/bitlinear", () => {
  for (const one of cases) {
    const [tokens, inCount] = one.x;
    const [outCount] = one.w;
    const floats = (name: string) => new Float32Array(tensors.get(`${one.name}.${name}`)!.buffer);
    const ints = (name: string) => new Int8Array(tensors.get(`${one.name}.${name}`)!.buffer);

    test(`${one.name}: weights become the reference's ternary, scale and packed bytes`, () => {
      const { ternary, scale } = absmeanTernarize(floats("w"));
      expect(ternary).toEqual(ints("ternary"));
      // The reference sums in float32, this one in float64: two units in the last place apart.
      expect(Math.abs(scale / floats("w_scale")[0]! - 1)).toBeLessThan(2.5e-7);
      expect(packHfTernary(ternary, one.w)).toEqual(tensors.get(`${one.name}.packed`)!);
    });

    test(`${one.name}: activations and outputs equal the reference`, () => {
      const x = normed(floats("x"), one, one.rms_norm_eps === null ? undefined : floats("gamma"));
      const { ternary, scale: s } = absmeanTernarize(floats("w"));
      const want = floats("y");
      const largest = want.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      for (let token = 0; token < tokens; token++) {
        const row = x.subarray(token * inCount, (token + 1) * inCount);
        const { q, scale: a } = quantizeActivation(row);
        expect(q).toEqual(ints("q").subarray(token * inCount, (token + 1) * inCount));
        expect(Math.abs(a / floats("a_scale")[token]! - 1)).toBeLessThan(1e-6);
        for (let out = 0; out < outCount; out++) {
          let sum = 0;
          for (let i = 0; i < inCount; i++) sum += q[i]! * ternary[out * inCount + i]!;
          const bias = one.bias ? floats("bias")[out]! : 0;
          const y = (sum * s) / a + bias;
          expect(Math.abs(y - want[token * outCount + out]!)).toBeLessThanOrEqual(1e-5 * largest);
        }
      }
    });
  }
});

test("roundHalfEven takes the even one of two neighbours", () => {
  const halves = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 126.5, 0.49999997].map(roundHalfEven);
  expect(halves.map((value) => value + 0)).toEqual([-2, -2, 0, 0, 2, 2, 126, 0]);
});

test("a token without magnitude quantizes to zeros with the scale of 1e-5", () => {
  const { q, scale } = quantizeActivation(new Float32Array(4));
  expect(q).toEqual(new Int8Array(4));
  expect(scale).toBe(Math.fround(127 / Math.fround(1e-5)));
});

/** gamma * x * rsqrt(mean(x^2) + eps), where a case has a norm. */
function normed(
  x: Float32Array,
  one: BitLinearCase,
  gamma: Float32Array | undefined,
): Float32Array {
  if (gamma === undefined || one.rms_norm_eps === null) return x;
  const [tokens, width] = one.x;
  const y = new Float32Array(x.length);
  for (let token = 0; token < tokens; token++) {
    const row = x.subarray(token * width, (token + 1) * width);
    const mean = row.reduce((sum, value) => sum + value * value, 0) / width;
    const factor = 1 / Math.sqrt(mean + one.rms_norm_eps);
    row.forEach((value, i) => {
      y[token * width + i] = gamma[i]! * Math.fround(value * factor);
    });
  }
  return y;
}
