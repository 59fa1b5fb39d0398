/**
 * A right call of every method and function of tensors, as data: one without does not compile.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as all from "../../src/tensor/index.ts";
import { type Tensor, tensor } from "../../src/tensor/index.ts";

/** Where files are written. */
export const folder = mkdtempSync(join(tmpdir(), "every-call-"));

type Methods = {
  [Name in keyof Tensor]: Tensor[Name] extends (...list: never[]) => unknown ? Name : never;
}[keyof Tensor];
type Method = Exclude<Methods, symbol>;

/** A right call of each method of x (2, 3), with z another such tensor. */
export const methods: Record<Method, (x: Tensor, z: Tensor) => unknown> = {
  add: (x, z) => x.add(z),
  sub: (x, z) => x.sub(z),
  mul: (x, z) => x.mul(z),
  div: (x, z) => x.div(z),
  mod: (x, z) => x.mod(z),
  pow: (x, z) => x.pow(z),
  minimum: (x, z) => x.minimum(z),
  maximum: (x, z) => x.maximum(z),
  clip: (x, z) => x.clip({ min: z }),
  eq: (x, z) => x.eq(z),
  ne: (x, z) => x.ne(z),
  lt: (x, z) => x.lt(z),
  le: (x, z) => x.le(z),
  gt: (x, z) => x.gt(z),
  ge: (x, z) => x.ge(z),
  where: (x, z) => x.where(z, 0),
  matmul: (x, z) => x.matmul(z.transpose()),
  neg: (x) => x.neg(),
  abs: (x) => x.abs(),
  floor: (x) => x.floor(),
  ceil: (x) => x.ceil(),
  round: (x) => x.round(),
  sqrt: (x) => x.sqrt(),
  exp: (x) => x.exp(),
  log: (x) => x.log(),
  sin: (x) => x.sin(),
  cos: (x) => x.cos(),
  tan: (x) => x.tan(),
  asin: (x) => x.asin(),
  acos: (x) => x.acos(),
  atan: (x) => x.atan(),
  tanh: (x) => x.tanh(),
  erf: (x) => x.erf(),
  sigmoid: (x) => x.sigmoid(),
  relu: (x) => x.relu(),
  relu2: (x) => x.relu2(),
  silu: (x) => x.silu(),
  gelu: (x) => x.gelu(),
  softplus: (x) => x.softplus(),
  softmax: (x) => x.softmax(),
  logSoftmax: (x) => x.logSoftmax(),
  sum: (x) => x.sum(),
  prod: (x) => x.prod(),
  max: (x) => x.max(),
  min: (x) => x.min(),
  mean: (x) => x.mean(),
  var: (x) => x.var(),
  std: (x) => x.std(),
  norm: (x) => x.norm(),
  logSumExp: (x) => x.logSumExp(),
  any: (x) => x.any(),
  all: (x) => x.all(),
  argmax: (x) => x.argmax(),
  argmin: (x) => x.argmin(),
  cumsum: (x) => x.cumsum(0),
  to: (x) => x.to("f64"),
  reshape: (x) => x.reshape(6),
  view: (x) => x.view(6),
  permute: (x) => x.permute(),
  transpose: (x) => x.transpose(),
  squeeze: (x) => x.squeeze(),
  unsqueeze: (x) => x.unsqueeze(0),
  expand: (x) => x.expand(2, 2, 3),
  at: (x) => x.at(0),
  mask: (x, z) => x.mask(z.gt(0)),
  clone: (x) => x.clone(),
  assign: (x, z) => x.assign(z),
  add_: (x, z) => x.add_(z),
  sub_: (x, z) => x.sub_(z),
  mul_: (x, z) => x.mul_(z),
  div_: (x, z) => x.div_(z),
  mod_: (x, z) => x.mod_(z),
  pow_: (x, z) => x.pow_(z),
  minimum_: (x, z) => x.minimum_(z),
  maximum_: (x, z) => x.maximum_(z),
  clip_: (x, z) => x.clip_({ max: z }),
  neg_: (x) => x.neg_(),
  abs_: (x) => x.abs_(),
  floor_: (x) => x.floor_(),
  ceil_: (x) => x.ceil_(),
  round_: (x) => x.round_(),
  sqrt_: (x) => x.sqrt_(),
  exp_: (x) => x.exp_(),
  log_: (x) => x.log_(),
  sin_: (x) => x.sin_(),
  cos_: (x) => x.cos_(),
  tan_: (x) => x.tan_(),
  asin_: (x) => x.asin_(),
  acos_: (x) => x.acos_(),
  atan_: (x) => x.atan_(),
  tanh_: (x) => x.tanh_(),
  erf_: (x) => x.erf_(),
  sigmoid_: (x) => x.sigmoid_(),
  relu_: (x) => x.relu_(),
  data: (x) => x.data(),
  toArray: (x) => x.toArray(),
  item: (x) => x.at(0, 0).item(),
  toString: (x) => x.toString(),
  ready: (x) => x.ready(),
};

type Functions = {
  [Name in keyof typeof all]: (typeof all)[Name] extends (...list: never[]) => unknown
    ? Name
    : never;
}[keyof typeof all];

/** What makes tensors of other things, or works on none. */
type Makers =
  | "tensor"
  | "full"
  | "zeros"
  | "ones"
  | "eye"
  | "arange"
  | "linspace"
  | "randn"
  | "uniform"
  | "loadNpy"
  | "loadSafetensors"
  | "broadcastShapes";

const rows = (): Tensor => tensor(Int32Array.of(0, 1));

/** A right call of each function, with x (2, 3) among what it is given. */
export const functions: Record<Exclude<Functions, Makers>, (x: Tensor) => unknown> = {
  applied: (x) => all.applied("neg", [x]),
  compile: (x) => all.compile((given) => given.neg())(x),
  dot: (x) => all.dot(x.at(0), x.at(1)),
  einsum: (x) => all.einsum("ij->ji", x),
  outer: (x) => all.outer(x.at(0), x.at(1)),
  tensordot: (x) => all.tensordot(x, x, 2),
  saveNpy: (x) => all.saveNpy(join(folder, "x.npy"), x),
  saveSafetensors: (x) => all.saveSafetensors(join(folder, "x"), { x }),
  argsort: (x) => all.argsort(x),
  concat: (x) => all.concat([x, x]),
  flip: (x) => all.flip(x),
  gather: (x) => all.gather(x, 0, tensor(Int32Array.of(0), { shape: [1, 1] })),
  nonzero: (x) => all.nonzero(x),
  pad: (x) => all.pad(x, 1),
  repeat: (x) => all.repeat(x, 2),
  roll: (x) => all.roll(x, 1),
  scatter: (x) => all.scatter(x, { axis: 0, index: zeros(), source: x }),
  scatterAdd: (x) => all.scatterAdd(x, { axis: 0, index: zeros(), source: x }),
  sort: (x) => all.sort(x),
  split: (x) => all.split(x, 2),
  stack: (x) => all.stack([x, x]),
  take: (x) => all.take(x, [0]),
  tile: (x) => all.tile(x, [2]),
  topk: (x) => all.topk(x, 1),
  where: (x) => all.where(x, x, 0),
  customGradient: (x) => all.customGradient(x, { inputs: [x], rule: (g) => [g] }),
  grad: (x) => all.grad((given) => given.sum())(x),
  stopGradient: (x) => all.stopGradient(x),
  valueAndGrad: (x) => all.valueAndGrad((given) => given.sum())(x),
  bitLinear: (x) => all.bitLinear(x, x),
  crossEntropy: (x) => all.crossEntropy(x, rows()),
  gated: (x) => all.gated(x.at(":", ":2")),
  layerNorm: (x) => all.layerNorm(x),
  rmsNorm: (x) => all.rmsNorm(x, x.at(0)),
  rope: (x) => all.rope(x.at(":", ":2"), rows()),
};

function zeros(): Tensor {
  return tensor(new Int32Array(6), { shape: [2, 3] });
}
