/**
 * A tour of tensors: making, indexing, arithmetic, contractions, files, and a least-squares fit
 * by gradients: bun examples/tensors.ts
 * In an app the import is "bitnet-bun".
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  arange,
  concat,
  einsum,
  loadNpy,
  randn,
  saveNpy,
  sort,
  type Tensor,
  tensor,
  valueAndGrad,
  where,
} from "../src/index.ts";

// Nothing is computed until it is read; views share memory.
const x = arange(12).reshape(3, 4);
console.log(`x = ${x}`);
console.log(`x[1:, ::-1] = ${x.at("1:", "::-1")}`);
console.log(`even elements: ${x.mask(x.mod(2).eq(0))}`);
console.log(`columns 3 and 0: ${x.at(":", [3, 0])}`);

// Shapes are broadcast, dtypes promoted.
const centred = x.sub(x.mean({ axes: 0 }));
console.log(`without the mean of each column: ${where(centred.lt(0), 0, centred)}`);
console.log(`rows joined and sorted: ${sort(concat([x.at(0), x.at(2)]), { descending: true })}`);

// einsum: a product of matrices, a trace, all pairs.
const m = tensor([
  [2, 1],
  [0, 3],
]);
console.log(`trace ${einsum("ii", m)}`);
console.log(`m m' = ${einsum("ij,kj->ik", m, m)}`);

// Out to a file that NumPy reads, and back.
const folder = await mkdtemp(join(tmpdir(), "tensors-"));
await saveNpy(join(folder, "x.npy"), x);
const again = await loadNpy(join(folder, "x.npy"));
await rm(folder, { recursive: true });
console.log(`the file holds the same: ${again.eq(x).all().item()}`);

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
console.log(`y = ${Number(slope.item()).toFixed(2)} x + ${Number(offset.item()).toFixed(2)}`);
