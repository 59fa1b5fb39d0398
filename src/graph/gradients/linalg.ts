/**
 * Gradients of decompositions and systems, of each matrix of a batch. X' is X transposed, Gx the
 * gradient of x. Where a symmetric matrix is read by one triangle, its gradient is symmetric, as if
 * (A + A') / 2 had been given. Singular values and eigenvalues have gradients always, their vectors
 * where the values are distinct (and not 0, for the vectors of a matrix that is not square).
 *
 * Sources: Giles, An extended collection of matrix derivative results (2008), for solutions and
 * eigenvalues; Walter and Lehmann, Algorithmic differentiation of linear algebra functions (2010),
 * and Roberts and Roberts, QR and LQ decomposition matrix backpropagation algorithms (2020), for
 * QR; Murray, Differentiation of the Cholesky decomposition (2016); Townsend, Differentiating the
 * singular value decomposition (2016).
 */
import { BitNetError } from "../../errors/index.ts";
import { type OpName, rankMax } from "../../native/index.ts";
import { svdVectors } from "../dense-shapes.ts";
import { rowMajor, type Value } from "../value.ts";
import type { GradientCase, GradientRule } from "./rule.ts";
import { turned, type ValueMaths } from "./value-maths.ts";

/** Ga = L^-T S L^-1 / 2, S the symmetric matrix whose lower triangle is that of L' Gl. */
const cholesky: GradientRule = ({ g, y, on }) => {
  const inner = mirrored(on, on.matmul(turned(y), g));
  const left = upperSolve(on, turned(y), inner);
  return [on.mul(upperSolve(on, turned(y), turned(left)), 0.5)];
};

/** Gb = A^-T Gx, Ga = -Gb x'. */
const solve: GradientRule = ({ node, g, y, on }) => {
  const ofB = on.one("solve", [turned(node.inputs[0]!), g]);
  return [() => on.neg(on.matmul(ofB, turned(y))), ofB];
};

/** As `solve`, for the elements that are read. */
const triangularSolve: GradientRule = ({ node, g, y, on }) => {
  const { lower, unit } = node.attrs;
  const attrs = { lower: !lower, unit: unit === true };
  const ofB = on.one("triangular_solve", [turned(node.inputs[0]!), g], { attrs });
  const ofA = (): Value => {
    const all = on.neg(on.matmul(ofB, turned(y)));
    return lower ? lowerOf(on, all, attrs.unit) : turned(lowerOf(on, turned(all), attrs.unit));
  };
  return [ofA, ofB];
};

/**
 * A = P' L U, square: Ga = P' L^-T M U^-T with M the triangle of L' Gl below the diagonal and that
 * of Gu U' above; P' L^-T is A^-T U', so that no rows have to be moved.
 */
const lu: GradientRule = ({ node, g, y, on }) => {
  const a = node.inputs[0]!;
  const [m, n] = a.dims.slice(-2);
  if (m !== n) throw noGradient("lu", "matrices that are not square");
  const below = lowerOf(on, y, true);
  const lower = on.add(below, identity(on, y));
  const upper = on.sub(y, below);
  const ofL = lowerOf(on, on.matmul(turned(lower), g), true);
  const product = on.matmul(g, turned(upper));
  const inner = on.add(ofL, on.sub(product, lowerOf(on, product, true)));
  const right = turned(upperSolve(on, upper, turned(inner)));
  return [on.one("solve", [turned(a), on.matmul(turned(upper), right)])];
};

/**
 * m >= n: Ga = (Gq + Q S) R^-T, S the symmetric matrix whose lower triangle is that of
 * R Gr' - Gq' Q. Wide: A = (X Y) and R = (U V) with U square; Y = Q V gives Gy = Q Gv and more of
 * Gq, and X = Q U the rest.
 */
const qr: GradientRule = (of) => {
  const { node, on } = of;
  const [q, r] = node.outputs as [Value, Value];
  const [m, n] = node.inputs[0]!.dims.slice(-2) as [number, number];
  if (node.attrs.full === true && m > n) {
    throw noGradient("qr", "a square Q of a tall matrix, whose last columns are any basis");
  }
  const [gq, gr] = [outputGradient(of, 0), outputGradient(of, 1)];
  if (m >= n) return [squareQr(on, { q, r, gq, gr })];
  const axis = r.dims.length - 1;
  const rest = columnsOf(node.inputs[0]!, m, n);
  const gRest = gr.slice(axis, m, n - m);
  const first = squareQr(on, {
    q,
    r: r.slice(axis, 0, m),
    gq: on.add(gq, on.matmul(rest, turned(gRest))),
    gr: gr.slice(axis, 0, m),
  });
  const second = on.matmul(q, gRest);
  const { dims } = node.inputs[0]!;
  return [on.add(placed(on, first, { dims, start: 0 }), placed(on, second, { dims, start: m }))];
};

function squareQr(on: ValueMaths, of: Record<"q" | "r" | "gq" | "gr", Value>): Value {
  const { q, r, gq, gr } = of;
  const inner = on.sub(on.matmul(r, turned(gr)), on.matmul(turned(gq), q));
  const left = on.add(gq, on.matmul(q, mirrored(on, inner)));
  return turned(upperSolve(on, r, turned(left)));
}

/** Ga = V (diag(Gw) + F o V' Gv) V', F[i, j] = 1 / (w[j] - w[i]), made symmetric. */
const eigh: GradientRule = (of) => {
  const { node, on } = of;
  const [w, own] = node.outputs as [Value, Value];
  const hasVectors = node.attrs.vectors === true;
  const attrs = { vectors: true };
  const v = hasVectors ? own : on.recorder.apply("eigh", node.inputs, { attrs })[1]!;
  const ofValues = of.all[0];
  let sum: Value | undefined;
  if (ofValues) sum = on.matmul(on.mul(v, acrossRows(ofValues, v)), turned(v));
  const ofVectors = hasVectors ? of.all[1] : undefined;
  if (ofVectors) {
    const inner = on.matmul(turned(v), ofVectors);
    const distance = on.sub(acrossRows(w, inner), acrossColumns(w, inner));
    const whole = on.matmul(on.matmul(v, apart(on, inner, distance)), turned(v));
    const even = on.mul(on.add(whole, turned(whole)), 0.5);
    sum = sum ? on.add(sum, even) : even;
  }
  return [sum];
};

/**
 * Ga = U ((J + J') S + S (K + K') + diag(Gs)) V', with J = F o U' Gu, K = F o V' Gv and
 * F[i, j] = 1 / (s[j]^2 - s[i]^2), and what of Gu and Gv lies outside of U and V, divided by S.
 */
const svd: GradientRule = (of) => {
  const { node, on } = of;
  const a = node.inputs[0]!;
  const [m, n] = a.dims.slice(-2) as [number, number];
  const hasVectors = node.attrs.vectors !== svdVectors.none;
  const [gs, gu, gvt] = hasVectors ? of.all : [of.all[0]];
  if (node.attrs.vectors === svdVectors.full && m !== n && (gu || gvt)) {
    throw noGradient("svd", "square bases of a matrix that is not, which are any basis in part");
  }
  const [s, u, vt] = thinSvd(of);
  const parts: Value[] = [];
  if (gs) parts.push(on.matmul(on.mul(u, acrossRows(gs, u)), vt));
  if (gu) {
    const along = on.matmul(turned(u), gu);
    const both = evened(on, along, s);
    parts.push(on.matmul(on.matmul(u, on.mul(both, acrossRows(s, both))), vt));
    const outside = on.sub(gu, on.matmul(u, along));
    if (m > n) parts.push(on.matmul(on.div(outside, acrossRows(s, outside)), vt));
  }
  if (gvt) {
    const along = on.matmul(gvt, turned(vt));
    const both = evened(on, turned(along), s);
    parts.push(on.matmul(on.matmul(u, on.mul(both, acrossColumns(s, both))), vt));
    const outside = on.sub(gvt, on.matmul(along, vt));
    if (n > m) parts.push(on.matmul(u, on.div(outside, acrossColumns(s, outside))));
  }
  return [parts.reduce((sum, part) => on.add(sum, part))];
};

/** s, u and vt with min(m, n) vectors: those at hand, or computed for the gradient. */
function thinSvd({ node, on }: GradientCase): [s: Value, u: Value, vt: Value] {
  const { vectors } = node.attrs;
  const [m, n] = node.inputs[0]!.dims.slice(-2);
  const isThin = vectors === svdVectors.thin || (vectors === svdVectors.full && m === n);
  const attrs = { vectors: svdVectors.thin };
  const outputs = isThin ? node.outputs : on.recorder.apply("svd", node.inputs, { attrs });
  return outputs.slice(0, 3) as [Value, Value, Value];
}

/** F o X + (F o X)', F[i, j] = 1 / (s[j]^2 - s[i]^2). */
function evened(on: ValueMaths, x: Value, s: Value): Value {
  const [across, down] = [acrossRows(s, x), acrossColumns(s, x)];
  const distance = on.mul(on.sub(across, down), on.add(across, down));
  const part = apart(on, x, distance);
  return on.add(part, turned(part));
}

/** X by a distance that is 0 on the diagonal, where the result is 0. */
function apart(on: ValueMaths, x: Value, distance: Value): Value {
  const one = identity(on, x);
  return on.div(on.sub(x, on.mul(x, one)), on.add(distance, one));
}

/** A^-1 B for an upper triangular A. */
function upperSolve(on: ValueMaths, a: Value, b: Value): Value {
  return on.one("triangular_solve", [a, b], { attrs: { lower: false, unit: false } });
}

/** The gradient of an output, zeros where it has none. */
function outputGradient({ node, all, on }: GradientCase, index: number): Value {
  return all[index] ?? on.zeros(node.outputs[index]!);
}

/** The symmetric matrix with this one's lower triangle. */
function mirrored(on: ValueMaths, x: Value): Value {
  return on.where(isBelow(on, x, "less_equal"), x, turned(x));
}

/** The lower triangle, without its diagonal if `strict`. */
function lowerOf(on: ValueMaths, x: Value, strict: boolean): Value {
  return on.where(isBelow(on, x, strict ? "less" : "less_equal"), x, on.zeros(x));
}

/** Ones on the diagonal of square matrices like these. */
function identity(on: ValueMaths, like: Value): Value {
  return on.cast(isBelow(on, like, "equal"), like.dtype);
}

/** Column compared with row, for each element of square matrices. */
function isBelow(on: ValueMaths, like: Value, op: "less" | "less_equal" | "equal"): Value {
  const n = like.dims.at(-1)!;
  const places = on.unary("cumulative_sum", on.recorder.number(1, "i32").broadcast([n]));
  return on.one(op, [acrossRows(places, like), acrossColumns(places, like)]);
}

/** y[..., i, j] = x[..., j] */
function acrossRows(x: Value, like: Value): Value {
  return across(x, like, [0, 1]);
}

/** y[..., i, j] = x[..., i] */
function acrossColumns(x: Value, like: Value): Value {
  return across(x, like, [1, 0]);
}

function across(x: Value, like: Value, steps: [number, number]): Value {
  const last = x.strides.at(-1)!;
  const before = x.strides.slice(0, -1);
  const missing = new Array<number>(like.dims.length - 2 - before.length).fill(0);
  const strides = [...missing, ...before, ...steps.map((step) => step * last)];
  return x.view({ dims: like.dims, strides });
}

function columnsOf(x: Value, start: number, end: number): Value {
  return x.slice(x.dims.length - 1, start, end - start);
}

/** Columns in their place among those of a matrix that is 0 elsewhere. */
function placed(
  on: ValueMaths,
  columns: Value,
  { dims, start }: { dims: Value["dims"]; start: number },
): Value {
  const strides = rowMajor(dims);
  const attrs: Record<string, number> = { offset: start };
  for (let axis = 0; axis < rankMax; axis += 1) attrs[`stride_${axis}`] = strides[axis] ?? 0;
  return on.one("place", [columns], { attrs, shape: { dims, dtype: columns.dtype } });
}

function noGradient(op: OpName, what: string): BitNetError {
  return new BitNetError("graph/no-gradient", `${op} has no gradient for ${what}`);
}

export const linalgGradients = {
  cholesky,
  lu,
  solve,
  triangular_solve: triangularSolve,
  qr,
  svd,
  eigh,
} satisfies Partial<Record<OpName, GradientRule>>;
