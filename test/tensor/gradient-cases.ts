/**
 * What gradients are held to central differences on: for every op a function of x (3, 4) and z
 * (3, 4), both f64 between 0.3 and 0.9, in which its rule counts; the file that tests the rule
 * where the op takes f32 alone; or "none" for an op without a rule.
 */
import type { OpName } from "../../src/native/index.ts";
import {
  concat,
  crossEntropy,
  gated,
  gather,
  layerNorm,
  pad,
  repeat,
  rmsNorm,
  roll,
  scatterAdd,
  sort,
  type Tensor,
  take,
  tensor,
  topk,
  where,
} from "../../src/tensor/index.ts";

export type GradientCase = (x: Tensor, z: Tensor) => Tensor;

const layer = { file: "tensor/layer-gradients.test.ts" };
const straight = { file: "tensor/bit-linear.test.ts" };
const linalg = { file: "linalg/gradients.test.ts" };

export const gradientCases: Record<OpName, GradientCase | { file: string } | "none"> = {
  copy: (x, z) => x.transpose().clone().mul(z.reshape(4, 3)),
  add: (x, z) => x.add(z).mul(z),
  sub: (x, z) => x.sub(z).mul(z),
  mul: (x, z) => x.mul(z),
  div: (x, z) => x.div(z),
  power: (x, z) => x.pow(z),
  modulo: (x, z) => x.mul(5).mod(z),
  minimum: (x, z) => x.minimum(z).mul(x),
  maximum: (x, z) => x.maximum(z).mul(x),
  neg: (x, z) => x.neg().mul(z),
  abs: (x, z) => x.sub(z).abs(),
  floor: (x, z) => x.mul(7).floor().add(x).mul(z),
  ceil: (x, z) => x.mul(7).ceil().add(x).mul(z),
  round: (x, z) => x.mul(7).round().add(x).mul(z),
  sqrt: (x, z) => x.sqrt().mul(z),
  exp: (x, z) => x.exp().mul(z),
  log: (x, z) => x.log().mul(z),
  sin: (x, z) => x.sin().mul(z),
  cos: (x, z) => x.cos().mul(z),
  tan: (x, z) => x.tan().mul(z),
  asin: (x, z) => x.asin().mul(z),
  acos: (x, z) => x.acos().mul(z),
  atan: (x, z) => x.atan().mul(z),
  tanh: (x, z) => x.tanh().mul(z),
  erf: (x, z) => x.erf().mul(z),
  sigmoid: (x, z) => x.sigmoid().mul(z),
  select: (x, z) => where(x.lt(z), x.mul(2), z.mul(3)),
  reduce_sum: (x, z) => x.sum({ axes: 0 }).mul(z),
  reduce_product: (x, z) => x.prod({ axes: 1, keepDims: true }).mul(z),
  reduce_max: (x, z) => x.max({ axes: 0 }).mul(z),
  reduce_min: (x, z) => x.min({ axes: [0, 1] }).mul(z),
  cumulative_sum: (x, z) => x.cumsum(1).mul(z.cumsum(0)),
  take: (x, z) => take(x, [2, 0, 0]).mul(z),
  scatter_add: (x, z) => {
    const index = tensor(Int32Array.of(2, 0, 2, 1), { shape: [1, 4] });
    return scatterAdd(x, { axis: 0, index, source: z.at("1:2") });
  },
  place: (x, z) =>
    pad(x, [
      [0, 0],
      [1, 0],
    ])
      .at(":", ":4")
      .mul(z),
  concat: (x, z) => concat([x, z, x], 1).mul(concat([z, z, x], 1)),
  sort: (x, z) => sort(x, { axis: 0 }).mul(z),
  matmul: (x, z) => x.matmul(z.transpose()),
  softmax: layer,
  embedding: layer,
  gather_rows: layer,
  rms_norm: layer,
  dense_matmul: layer,
  rope: layer,
  gated_activation: layer,
  ternary_matmul: layer,
  rms_norm_quantize: straight,
  quantize_rows: straight,
  ternarize: straight,
  pack_tile2: straight,
  pack_tile3: straight,
  cholesky: linalg,
  lu: linalg,
  solve: linalg,
  triangular_solve: linalg,
  qr: linalg,
  svd: linalg,
  eigh: linalg,
  equal: "none",
  not_equal: "none",
  less: "none",
  less_equal: "none",
  arg_max: "none",
  arg_min: "none",
  convert: "none",
  quantize_nibbles: "none",
  pack_ternary: "none",
  unpack_packed: "none",
  unpack_ternary: "none",
  abs_stats: "none",
  int8_matmul: "none",
  head_screen: "none",
  head_refine: "none",
  kv_write: "none",
  attention: "none",
  rope_angles: "none",
  sampling_probs: "none",
  sample: "none",
  emit: "none",
  stop_when: "none",
  random_uniform: "none",
  random_normal: "none",
  elementwise_chain: "none",
};

/** Functions in which several rules meet. */
export const combinedCases: Record<string, GradientCase> = {
  "add, sub, mul, div": (x, z) => x.add(z).mul(x.sub(z)).div(z.add(1)),
  "pow of a tensor": (x, z) => x.pow(z),
  "a row broadcast": (x, z) => x.mul(z.at(0)).add(z.at(":", "1:2")),
  "minimum, maximum": (x, z) => x.minimum(z).add(x.mul(2).maximum(z)),
  mod: (x, z) => x.mul(5).mod(z),
  "abs, neg": (x, z) => x.sub(z).abs().neg(),
  "exp, log, sqrt": (x, z) => x.exp().add(z.log()).mul(x.sqrt()),
  "sin, cos, tan": (x, z) => x.sin().add(z.cos()).mul(x.tan()),
  "asin, acos, atan": (x, z) => x.asin().add(z.acos()).mul(x.atan()),
  "tanh, erf, sigmoid": (x, z) => x.tanh().add(z.erf()).mul(x.sigmoid()),
  where: (x, z) => x.where(x.lt(z), z.mul(3)),
  clip: (x, z) => x.clip({ min: 0.4, max: 0.7 }).mul(z),
  "sum, mean, var over axes": (x, z) =>
    x
      .sum({ axes: 0 })
      .mul(z.mean({ axes: 0 }))
      .add(x.var({ axes: 1 }).mean()),
  "max, min, prod": (x, z) =>
    x
      .max({ axes: 1 })
      .mul(z.min({ axes: 1 }))
      .add(x.prod({ axes: 1 })),
  cumsum: (x, z) => x.cumsum(1).mul(z.cumsum(0)),
  matmul: (x, z) => x.matmul(z.transpose()).matmul(x),
  "matmul of vectors": (x, z) =>
    x
      .at(0)
      .matmul(z.at(1))
      .add(x.matmul(z.at(2)).sum()),
  "matmul of batches": (x, z) =>
    x.reshape(3, 2, 2).matmul(z.at(0).reshape(2, 2)).add(x.at(0).reshape(2, 2)),
  views: (x, z) => x.permute(1, 0).at("::-1", "1:").mul(z.reshape(4, 3).at(":", "::2")).squeeze(),
  "a view of a step twice": (x) => x.mul(2).at(0).mul(x.mul(2).at(":", 1).sum()),
  expand: (x, z) => x.unsqueeze(0).expand(2, 3, 4).mul(z).permute(2, 0, 1),
  "logSumExp over all": (x, z) => x.mul(z).logSumExp(),
  "norms of four orders": (x, z) =>
    x
      .norm({ axes: 0 })
      .add(z.norm({ order: 1 }))
      .mul(x.norm({ order: 3, axes: 0 }))
      .add(z.norm({ order: Infinity })),
  "softplus, gelu, silu": (x, z) => x.softplus().add(z.gelu()).mul(x.sub(z).silu()),
  "softmax, logSoftmax": (x, z) => x.softmax(0).mul(z.logSoftmax()),
  "sort, topk": (x, z) => sort(x).mul(z).add(topk(z, 1).values),
  "take, gather, scatterAdd": (x, z) => {
    const index = tensor(Int32Array.of(2, 0, 2, 1), { shape: [1, 4] });
    const added = scatterAdd(z, { axis: 0, index, source: x.at("1:2") });
    return take(x, [2, 0, 0])
      .mul(added)
      .add(gather(x, 0, index));
  },
  "concat, pad, roll, repeat": (x, z) =>
    concat([pad(x, 1, 2).at("1:4", ":4"), roll(z, 1, 1)]).mul(repeat(x, 2, 0)),
  "rmsNorm, layerNorm, gated": (x, z) =>
    rmsNorm(x, z.at(0))
      .mul(layerNorm(z, { gamma: x.at(1) }))
      .at(":", ":2")
      .add(gated(x, "relu2")),
  "crossEntropy with a class left out": (x, z) =>
    crossEntropy(x.mul(z), tensor(Int32Array.of(3, -100, 0))),
};
