/** Programs of many sizes: which calls share one, which do not, and that no bit depends on it. */
import { describe, expect, test } from "bun:test";
import {
  arange,
  type CompileFunctionOptions,
  compile,
  concat,
  grad,
  ones,
  randn,
  type Tensor,
  type TensorFunction,
  tensor,
} from "../../src/tensor/index.ts";
import { throwsCode } from "./throws-code.ts";

const largest = 15;
const width = 8;
const weights = (): Tensor => randn([width, 6], { seed: 9 });

const rows = (count: number, seed = 1): Tensor => randn([count, width], { seed });
const heads = (x: Tensor): Tensor => x.reshape(x.shape[0]!, 2, width / 2).permute(1, 0, 2);

/** How many Programs calls of these sizes take; each call gives what the function gives alone. */
function programsOf(of: TensorFunction<Tensor>, counts: readonly number[], inputs = 1): string[] {
  const names = Array<string>(inputs).fill("n");
  const sized = compile(of, { rows: names, sizes: { n: largest } });
  for (const count of [...counts, ...counts]) {
    const given = names.map((_, index) => rows(count, index));
    const [got, want] = [sized(...given), of(...given)];
    expect(got.shape).toEqual(want.shape);
    expect(got.toArray()).toEqual(want.toArray());
  }
  return sized.programs.map((program) => program.inputs.join(" "));
}

/** Of one input or two. */
const shared: Record<string, TensorFunction<Tensor>> = {
  "a product and an activation": (x) => x!.matmul(weights()).relu(),
  "a mean, divided by each size": (x) => x!.mean({ axes: 0 }),
  "a sum over all": (x) => x!.exp().sum(),
  "layers' statistics": (x) => x!.sub(x!.mean({ axes: 1, keepDims: true })),
  attention: (x, z) => x!.matmul(z!.transpose()).mul(0.125).softmax().matmul(z!),
  "attention of two heads": (x, z) =>
    heads(x!).matmul(heads(z!).transpose()).softmax().matmul(heads(z!)).sum({ axes: 0 }),
  "a causal mask": (x) => {
    const places = arange(0, x!.shape[0]!);
    const mask = places.unsqueeze(1).ge(places).to("f32");
    return x!.matmul(x!.transpose()).mul(mask).matmul(x!);
  },
  "results that lie apart": (x, z) => x!.matmul(z!.transpose()),
  "a turned result": (x) => x!.exp().transpose(),
  "columns from behind": (x) => x!.exp().at(":", "::-1"),
  "each row less the one before": (x) => x!.at("1:").sub(x!.at(":-1")),
  "rows joined with others": (x, z) => concat([x!, z!, x!.at("1:")], 0).mul(2),
  "rows in another shape": (x) => x!.reshape(-1).exp().reshape(-1, 4).sum({ axes: 1 }),
  "running sums": (x) => x!.cumsum(0),
  "a gradient": (x) => grad((y) => y.matmul(weights()).tanh().mean())(x!)[0]!,
};

describe("one Program serves", () => {
  for (const [name, of] of Object.entries(shared)) {
    test(name, () => {
      const programs = programsOf(of, [4, 15, 2, 7, 14], Math.max(1, of.length));
      expect(programs).toEqual([Array(Math.max(1, of.length)).fill(`f32(n, ${width})`).join(" ")]);
    });
  }

  test("inputs of several sizes, beside some that do not change", () => {
    const of = (x: Tensor, z: Tensor, bias: Tensor): Tensor => x.matmul(z.transpose()).add(bias);
    const sized = compile(of, { rows: ["m", "n", null], sizes: { m: 9, n: 12 } });
    for (const [m, n] of [
      [3, 5],
      [9, 12],
      [1, 2],
      [4, 4],
    ] as const) {
      const given = [rows(m), rows(n, 2), tensor([0.5])] as const;
      expect(sized(...given).toArray()).toEqual(of(...given).toArray());
    }
    expect(sized.programs.map(({ inputs }) => inputs)).toEqual([
      ["f32(m, 8)", "f32(n, 8)", "f32(1)"],
    ]);
  });

  test("writing into an input, and tensors that were there before", () => {
    const table = rows(largest, 5);
    table.data();
    const sized = compile(
      (x) => {
        x.add_(table.at(`:${x.shape[0]}`));
        return x.sum({ axes: 0 });
      },
      { rows: ["n"], sizes: { n: largest } },
    );
    for (const count of [3, 8]) {
      const x = rows(count);
      const want = rows(count).add(table.at(`:${count}`));
      expect(sized(x).toArray()).toEqual(want.sum({ axes: 0 }).toArray());
      expect(x.toArray()).toEqual(want.toArray());
    }
    expect(sized.programs.length).toBe(1);
  });

  test("more sizes than are remembered: the oldest are recorded once more", () => {
    let recordings = 0;
    const sized = compile(
      (x) => {
        recordings += 1;
        return x.mul(2);
      },
      { rows: ["n"], sizes: { n: 1100 } },
    );
    const all = ones([1100, 1]);
    all.data();
    for (let size = 1; size <= 1025; size += 1) sized(all.at(`:${size}`));
    const before = recordings;
    for (const size of [1025, 2]) expect(sized(all.at(`:${size}`)).shape).toEqual([size, 1]);
    expect(recordings).toBe(before);
    expect(sized(all.at(":1")).toArray()).toEqual([[2]]);
    expect(recordings).toBe(before + 1);
    expect(sized.programs.length).toBe(1);
  });

  test("calls whose time is taken: operations are those of their sizes", () => {
    const sized = compile((x) => x.matmul(weights()), { rows: ["n"], sizes: { n: largest } });
    sized.startProfile();
    for (const count of [3, 5]) sized(rows(count)).data();
    const [product] = sized.profile().rows;
    expect(product).toMatchObject({ op: "matmul", calls: 2, operations: 2 * (3 + 5) * width * 6 });
  });
});

describe("Programs of their own have", () => {
  test("sizes beyond the largest, and rows that are not there", () => {
    const programs = programsOf((x) => x.add(1), [3, largest + 1, 5, 0]);
    expect(programs).toEqual(["f32(n, 8)", "f32(16, 8)", "f32(0, 8)"]);
  });

  test("sizes at which a function does something else, though it does not at the largest", () => {
    const programs = programsOf((x) => (x.shape[0]! % 8 === 0 ? x.mul(2) : x.add(1)), [3, 8, 9]);
    expect(programs).toEqual(["f32(n, 8)", "f32(8, 8)"]);
  });

  test("extents that follow the size by steps, or stay as soon as it is small", () => {
    expect(programsOf((x) => x.at("::2").exp(), [15, 14, 12])).toContain("f32(12, 8)");
    const few = (x: Tensor): Tensor => x.at(`:${Math.min(5, x.shape[0]!)}`).exp();
    expect(programsOf(few, [9, 3, 6])).toEqual(["f32(n, 8)", "f32(3, 8)"]);
  });

  test("rows read from behind, whose first place follows the size", () => {
    expect(programsOf((x) => x.at("::-1"), [15, 4])).toEqual(["f32(n, 8)", "f32(4, 8)"]);
  });

  test("views across rows that lie without a gap at their own size alone", () => {
    const across = (x: Tensor): Tensor =>
      heads(x)
        .exp()
        .reshape(-1, width / 2)
        .sum({ axes: 1 });
    expect(programsOf(across, [15, 4])).toEqual(["f32(n, 8)", "f32(4, 8)"]);
  });

  test("sums whose order follows how rows lie, so that no bit depends on the Program", () => {
    const total = (x: Tensor, z: Tensor): Tensor => x.matmul(z.transpose()).to("f64").sum();
    expect(programsOf(total as TensorFunction<Tensor>, [15, 4, 7], 2).length).toBe(3);
    const first = (x: Tensor, z: Tensor): Tensor => x.matmul(z.at(":1").transpose());
    expect(programsOf(first as TensorFunction<Tensor>, [15, 4], 2).length).toBe(1);
    const scores = (x: Tensor, z: Tensor): Tensor => x.matmul(z.transpose()).matmul(z);
    const sized = compile(scores, { rows: ["m", "n"], sizes: { m: 9, n: 9 } });
    for (const m of [1, 2, 9]) {
      for (const n of [1, 2, 9]) {
        const given = [rows(m), rows(n, 2)] as const;
        expect(sized(...given).toArray()).toEqual(scores(...given).toArray());
      }
    }
    expect(sized.programs.map(({ inputs }) => inputs.join(" "))).toEqual([
      "f32(1, 8) f32(1, 8)",
      "f32(m, 8) f32(n, 8)",
      "f32(2, 8) f32(1, 8)",
      "f32(9, 8) f32(1, 8)",
    ]);
  });

  test("functions that do not work at the largest sizes", () => {
    const four = rows(4, 3);
    const sized = compile((x) => x.add(four), { rows: ["n"], sizes: { n: largest } });
    expect(sized(rows(4)).toArray()).toEqual(rows(4).add(four).toArray());
    throwsCode("tensor/shape-mismatch", () => sized(rows(5)));
  });

  test("inputs of one name whose sizes differ", () => {
    const options: CompileFunctionOptions = { rows: ["n", "n"], sizes: { n: largest } };
    const sized = compile((x, z) => x.sum().add(z.sum()), options);
    expect(sized(rows(3), rows(4)).item()).toBe(rows(3).sum().add(rows(4).sum()).item());
    expect(sized.programs[0]!.inputs).toEqual(["f32(3, 8)", "f32(4, 8)"]);
  });
});

test("names without a size, sizes without a name and sizes that are none are refused", () => {
  const bad: CompileFunctionOptions[] = [
    { rows: ["n"] },
    { rows: [null], sizes: { n: 4 } },
    { rows: ["n"], sizes: { n: 0 } },
    { rows: ["n"], sizes: { n: 1.5 } },
    { rows: ["n"], sizes: { n: 2 ** 40 } },
  ];
  for (const options of bad) {
    throwsCode("tensor/bad-shape", () => compile((x) => x, options));
  }
});
