/**
 * How long do decompositions of a square f32 matrix take, and how long in NumPy beside them?
 *
 *   bun bench/linalg.ts [--size N] [--threads N] [--json] [--smoke]
 *
 * Milliseconds of a call of the public functions, checks and copies included; the product as in
 * bench/matmul.ts. A decomposition of one matrix is one thread's work here; NumPy's OpenBLAS has
 * as many as it is given. Both take turns; NumPy is left out by --smoke and without PyPI.
 */
import { parseArgs } from "node:util";
import { linalg } from "../src/index.ts";
import { coreInfo, openCore } from "../src/native/index.ts";
import { describeMachine, formatMachine, formatTable, measureRounds } from "../src/report/index.ts";
import { productFlops, productRate, productRepeats } from "./dense-product.ts";
import { readThreads } from "./engine-runs.ts";
import { NumPy } from "./numpy.ts";

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "512" },
    threads: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const { smoke, json } = values;
const size = smoke ? 24 : Number(values.size);
if (!Number.isInteger(size) || size < 1 || size > 8192) {
  console.error(`--size: want 1 to 8192, got ${values.size}`);
  process.exit(2);
}
const threads = readThreads(values.threads);
openCore({ threads, isa: coreInfo().isa });

using stack = new DisposableStack();
const numpy = smoke
  ? null
  : stack.adopt(await NumPy.start(threads), (it) => it?.[Symbol.dispose]());
const a = random();
const b = random();
const definite = await definiteOf(a);
const works = {
  svdValues: () => linalg.singularValues(a),
  svd: () => linalg.svd(a, { vectors: "full" }),
  qr: () => linalg.qr(a),
  cholesky: () => linalg.cholesky(definite),
  eigh: () => linalg.eigh(definite),
  solve: () => linalg.solve(a, b),
};
type Work = keyof typeof works;
const names = Object.keys(works) as Work[];

const tasks: Record<string, () => number | Promise<number>> = {
  "ours matmul": productRate(size, { threads, stack }),
};
if (numpy) {
  tasks["numpy matmul"] = async () => {
    const calls = productRepeats(size);
    return (1000 * productFlops(size)) / (await numpy.time("matmul", { size, calls }));
  };
}
for (const name of names) {
  tasks[`ours ${name}`] = async () => {
    await works[name]();
    const start = performance.now();
    await works[name]();
    return performance.now() - start;
  };
  if (numpy) tasks[`numpy ${name}`] = async () => numpy.time(name, { size, calls: 1 });
}
const measured = await measureRounds(tasks, smoke ? 1 : 5);
console.log(json ? JSON.stringify(report()) : describe());

function random(): linalg.Matrices<Float32Array> {
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return linalg.matrices(Float32Array.from({ length: size * size }, normal), [size, size]);
}

/** A A' + size I. */
async function definiteOf(matrix: linalg.Matrices<Float32Array>) {
  const product = await linalg.matmul(matrix, linalg.transposed(matrix));
  for (let i = 0; i < size; i += 1) product.data[i * size + i]! += size;
  return product;
}

function figures(whose: "ours" | "numpy") {
  const of = (name: string): number => measured[`${whose} ${name}`]!.median;
  return {
    svdValuesMs: of("svdValues"),
    svdMs: of("svd"),
    qrMs: of("qr"),
    choleskyMs: of("cholesky"),
    eighMs: of("eigh"),
    solveMs: of("solve"),
    matmulGflops: of("matmul") / 1e9,
  };
}

function report() {
  const machine = describeMachine(threads);
  return { size, threads, ...figures("ours"), numpy: numpy ? figures("numpy") : null, machine };
}

function describe(): string {
  const ours = figures("ours");
  const theirs = numpy ? figures("numpy") : null;
  const rows = (Object.keys(ours) as (keyof typeof ours)[]).map((key) => {
    const beside = theirs?.[key];
    // Times: theirs by ours; a rate the other way round. Above 1 ours is ahead.
    const ahead = beside && (key === "matmulGflops" ? ours[key] / beside : beside / ours[key]);
    return [key, ours[key].toFixed(2), beside?.toFixed(2) ?? "", ahead ? ahead.toFixed(2) : ""];
  });
  return [
    formatMachine(describeMachine(threads)),
    `${size} square, f32; NumPy ${numpy?.version ?? "absent"}`,
    "",
    formatTable(["", "ours", "NumPy", "times ahead"], rows),
  ].join("\n");
}
