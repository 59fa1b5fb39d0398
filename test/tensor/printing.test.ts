/** Tensors as text: elements as NumPy 2.4.6 prints them (fixtures/printing.json), and logging. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type DType, ones, tensor } from "../../src/tensor/index.ts";
import { formatElements } from "../../src/tensor/print.ts";

interface Case {
  dtype: DType;
  shape: number[];
  /** Numbers, or the names of those that JSON lacks. */
  values?: (number | string)[];
  /** Instead: 0, 1, 2, ... over this. */
  over?: number;
  text: string;
}

const path = join(import.meta.dir, "..", "fixtures", "printing.json");
const { cases } = (await Bun.file(path).json()) as { cases: Case[] };

describe("printing", () => {
  test("gives elements the text that NumPy gives them", () => {
    for (const { dtype, shape, values, over = 1, text } of cases) {
      const count = shape.reduce((product, extent) => product * extent, 1);
      const numbers = Float64Array.from({ length: count }, (_, index) => {
        if (!values) return index / over;
        const value = values[index]!;
        return typeof value === "number" ? value : Number(value.replace("inf", "Infinity"));
      });
      expect(formatElements(tensor(numbers, { shape, dtype }).value)).toBe(text);
    }
  });

  test("shows bf16 by the digits that it has", () => {
    expect(String(tensor([0.1, Math.PI], { dtype: "bf16" }))).toBe(
      "tensor((2,), bf16, cpu, [0.1 , 3.14])",
    );
  });

  test("says shape, dtype and device, and elements only if they are computed", () => {
    const x = ones([2, 2]).mul(3);
    expect(Bun.inspect(x)).toBe("tensor((2, 2), f32, cpu, not computed yet)");
    expect(String(x)).toBe("tensor((2, 2), f32, cpu,\n[[3., 3.],\n [3., 3.]])");
    expect(Bun.inspect(x)).toBe(String(x));
    expect(Bun.inspect({ i4: x.to("i4") })).toContain("tensor((2, 2), i4, cpu, not computed");
    x[Symbol.dispose]();
    expect(Bun.inspect(x)).toBe("tensor(disposed)");
  });
});
