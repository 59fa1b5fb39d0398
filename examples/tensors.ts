/**
 * A notebook of tensors, cell by cell: making and printing, indexing, arithmetic, reductions,
 * contractions, linear algebra, files, gradients, compiled functions, packed elements, a layer of
 * 1.58 bits that learns: bun examples/tensors.ts
 * In an app the import is "bitnet-bun".
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  arange,
  bitLinear,
  compile,
  concat,
  customGradient,
  einsum,
  grad,
  linalg,
  loadSafetensors,
  randn,
  rmsNorm,
  saveSafetensors,
  sort,
  type Tensor,
  tensor,
  topk,
  valueAndGrad,
  where,
} from "../src/index.ts";

let cells = 0;

/** One cell: what it is about, and what it shows. */
function cell(title: string, shown: Record<string, unknown>): void {
  cells += 1;
  console.log(`\n[${cells}] ${title}`);
  for (const [name, value] of Object.entries(shown)) {
    const text = String(value);
    console.log(
      text.includes("\n") ? `  ${name} =\n${text.replace(/^/gm, "    ")}` : `  ${name} = ${text}`,
    );
  }
}

// Nothing is computed until it is read; logging a tensor reads nothing.
const lazy = arange(4).mul(2);
const logged = Bun.inspect(lazy);
cell("A tensor is computed when it is read", { before: logged, read: lazy });

// Views share memory: what is written through one is seen by all.
const x = arange(12, 24).reshape(3, 4);
const corner = x.at(":2", "::-1");
corner.at(0).assign(0);
cell("Views and indices are NumPy's", {
  x,
  "x[1:, ::-1]": x.at("1:", "::-1"),
  "x[:, [3, 0]]": x.at(":", [3, 0]),
  "x[x % 2 == 1]": x.mask(x.mod(2).eq(1)),
  "x[..., None].shape": x.at("...", null).shape,
});

const floats = x.to("f32");
const centred = floats.sub(floats.mean({ axes: 0 }));
cell("Shapes are broadcast, dtypes promoted", {
  "without the mean of each column": where(centred.lt(0), 0, centred),
  "i32 + f16": x.add(tensor([0.5, 1, 2, 3], { dtype: "f16" })).dtype,
  "halves to even": tensor([0.5, 1.5, 2.5]).round(),
});

cell("Reductions, order, what is not a number", {
  "norm of each row": floats.norm({ axes: 1 }),
  "running sums": x.cumsum(1).at(2),
  "sorted, joined": sort(concat([x.at(0), x.at(2)]), { descending: true }),
  "top 2 of each row": topk(x, 2).values,
  "largest beside NaN": tensor([1, Number.NaN, 3]).max().item(),
});

const m = tensor([
  [2, 1],
  [0, 3],
]);
cell("einsum: a trace, a product, all pairs", {
  trace: einsum("ii", m).item(),
  "m m'": einsum("ij,kj->ik", m, m),
  outer: einsum("i,j->ij", m.at(0), m.at(1)),
});

const spread = randn([5, 3], { seed: 3 }).to("f64");
const { s, u, vt } = linalg.svd(spread);
const back = u.mul(s).matmul(vt);
cell("Linear algebra on the same tensors", {
  "singular values": s,
  "distance of U S V' from the matrix": Number(back.sub(spread).abs().max().item()) < 1e-14,
  determinant: linalg.det(m).item(),
});

const folder = await mkdtemp(join(tmpdir(), "tensors-"));
const path = join(folder, "some.safetensors");
await saveSafetensors(path, { x, m });
const again = await loadSafetensors(path);
await rm(folder, { recursive: true });
cell("Files hold the same", { equal: again.x!.eq(x).all().item(), names: Object.keys(again) });

// Gradients of gradients, and a rule of one's own where rounding has none.
const cube = grad((z) => z.pow(3).sum());
const rounded = (z: Tensor): Tensor => customGradient(z.round(), { inputs: [z], rule: (g) => [g] });
cell("Gradients", {
  "3 z^2": cube(tensor([1, 2, -3]))[0],
  "6 z": grad((z) => cube(z)[0]!.sum())(tensor([1, 2, -3]))[0],
  "through rounding": grad((z) => rounded(z).mul(z).sum())(tensor([0.4, 1.6]))[0],
});

// A line through noisy points: the same seed gives the same points everywhere.
const at = randn([200], { seed: 7 });
const noisy = at
  .mul(3)
  .sub(1)
  .add(randn([200], { seed: 7, stream: 1, std: 0.1 }));
const loss = (slope: Tensor, offset: Tensor) => at.mul(slope).add(offset).sub(noisy).pow(2).mean();
const step = valueAndGrad(loss);
const [slope, offset] = [tensor(0), tensor(0)];
for (let round = 0; round < 60; round += 1) {
  const [forSlope, forOffset] = step(slope, offset).gradients;
  slope.sub_(forSlope!.mul(0.2));
  offset.sub_(forOffset!.mul(0.2));
}
cell("A fit by gradient descent", { points: at.shape });
console.log(`y = ${Number(slope.item()).toFixed(2)} x + ${Number(offset.item()).toFixed(2)}`);

// Recorded once for these shapes, then run without recording.
const layer = compile((input: Tensor, weight: Tensor) => rmsNorm(input, weight).gelu().softmax());
const y = layer(randn([2, 6], { seed: 1 }), tensor([1, 1, 1, 1, 1, 1]));
cell("A compiled function", { "rows sum to 1": y.sum({ axes: 1 }) });

// One Program for prompts of any length up to 64.
const attend = compile((q: Tensor, k: Tensor) => q.matmul(k.transpose()).mul(0.5).softmax(), {
  rows: ["queries", "keys"],
  sizes: { queries: 64, keys: 128 },
});
for (const length of [3, 17, 64]) attend(randn([length, 4]), randn([length + 10, 4])).data();
cell("Sizes that change from call to call", {
  shapes: attend.programs.map(({ inputs }) => inputs.join(" and ")).join("; "),
});

const w = randn([64, 256], { seed: 5 });
const packed = w.to("ternary", { packing: "tile3" });
const nibbles = w.mul(3).to("i4");
cell("Packed elements", {
  "f32, i4, ternary bytes": [w, nibbles, packed].map(({ byteSize }) => byteSize).join(", "),
  i4: nibbles.at(0, ":6"),
  ternary: packed.at("62:", ":6"),
  codes: packed.to("i8").at(0, ":12"),
});

// A ternary layer learns to be another one: gradients go straight through the rounding.
const input = randn([64, 32], { seed: 11 });
const target = bitLinear(input, randn([8, 32], { seed: 12 }));
const weights = randn([8, 32], { seed: 13 });
const descent = valueAndGrad((given) => bitLinear(input, given).sub(target).pow(2).mean());
const losses: number[] = [];
for (let round = 0; round < 120; round += 1) {
  const { value, gradients } = descent(weights);
  losses.push(Number(value.item()));
  weights.sub_(gradients[0]!.mul(0.4));
}
const [first, last] = [losses[0]!, losses.at(-1)!];
cell("A layer of 1.58 bits learns", {
  "loss at first": first.toFixed(3),
  "loss at last": last.toFixed(3),
  "weights it has": weights.to("ternary").to("i8").at(0, ":12"),
});
console.log(last < first / 10 ? "It learned." : "It did not learn.");
