/**
 * How long do decompositions of a square f32 matrix take, and how long in NumPy beside them?
 *
 *   bun bench/linalg.ts [--size N] [--threads N] [--json] [--smoke]
 *
 * Milliseconds of a call of the public functions and of reading all that they give; the product as
 * in bench/matmul.ts. A decomposition of one matrix is one thread's work here; NumPy's OpenBLAS has
 * as many as it is given. Both take turns; NumPy is left out by --smoke and without PyPI. The table
 * has more than the JSON: symmetric eigenvalues, a system, and microseconds of small matrices.
 */
import { parseArgs } from "node:util";
import { eye, linalg, randn, type Tensor } from "../src/index.ts";
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
const a = randn([size, size], { seed: 1 });
const b = randn([size, size], { seed: 2 });
const definite = definiteOf(a);
const works: Record<string, () => Tensor[]> = {
  svdValues: () => [linalg.singularValues(a)],
  svd: () => Object.values(linalg.svd(a, { vectors: "full" })),
  qr: () => Object.values(linalg.qr(a)),
  cholesky: () => [linalg.cholesky(definite)],
  eigh: () => Object.values(linalg.eigh(definite)),
  solve: () => [linalg.solve(a, b)],
};
const names = Object.keys(works);

/** Calls in a row of what takes microseconds. */
const smallCalls = smoke ? 1 : 1000;
const smallSize = 4;
const small = randn([smallSize, smallSize], { seed: 3 });
const smallDefinite = definiteOf(small);
const smallWorks: Record<string, () => Tensor[]> = {
  "small solve": () => [linalg.solve(small, smallDefinite)],
  "small svd": () => Object.values(linalg.svd(small)),
  "small cholesky": () => [linalg.cholesky(smallDefinite)],
};

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
  tasks[`ours ${name}`] = () => {
    read(works[name]!());
    const start = performance.now();
    read(works[name]!());
    return performance.now() - start;
  };
  if (numpy) tasks[`numpy ${name}`] = async () => numpy.time(name, { size, calls: 1 });
}
for (const [name, work] of Object.entries(smallWorks)) {
  tasks[name] = () => {
    const start = performance.now();
    for (let call = 0; call < smallCalls; call += 1) read(work());
    return (1000 * (performance.now() - start)) / smallCalls;
  };
}
const measured = await measureRounds(tasks, smoke ? 1 : 5);
console.log(json ? JSON.stringify(report()) : describe());

/** Computes all of them; what one read brings is in memory for the others. */
function read(results: readonly Tensor[]): void {
  for (const result of results) result.data();
}

/** A A' + size I, computed. */
function definiteOf(matrix: Tensor): Tensor {
  const extent = matrix.shape[0]!;
  const product = matrix.matmul(matrix.transpose()).add(eye(extent).mul(extent));
  product.data();
  return product;
}

function figures(whose: "ours" | "numpy") {
  const of = (name: string): number => measured[`${whose} ${name}`]!.median;
  return {
    svdValuesMs: of("svdValues"),
    svdMs: of("svd"),
    qrMs: of("qr"),
    choleskyMs: of("cholesky"),
    matmulGflops: of("matmul") / 1e9,
  };
}

/** What the table shows besides. */
function others(whose: "ours" | "numpy") {
  const of = (name: string): number => measured[`${whose} ${name}`]!.median;
  return { eighMs: of("eigh"), solveMs: of("solve") };
}

function report() {
  return { size, threads, ...figures("ours"), numpy: numpy ? figures("numpy") : null };
}

function describe(): string {
  const ours: Record<string, number> = { ...figures("ours"), ...others("ours") };
  const theirs: Record<string, number> = numpy ? { ...figures("numpy"), ...others("numpy") } : {};
  const rows = Object.entries(ours).map(([key, own]) => {
    const beside = theirs[key];
    // Times: theirs by ours; a rate the other way round. Above 1 ours is ahead.
    const ahead = beside && (key === "matmulGflops" ? own / beside : beside / own);
    return [key, own.toFixed(2), beside?.toFixed(2) ?? "", ahead ? ahead.toFixed(2) : ""];
  });
  const smallRows = Object.keys(smallWorks).map((name) => [
    `${name} ${smallSize}x${smallSize}, us`,
    measured[name]!.median.toFixed(2),
    "",
    "",
  ]);
  return [
    formatMachine(describeMachine(threads)),
    `${size} square, f32; NumPy ${numpy?.version ?? "absent"}`,
    "",
    formatTable(["", "ours", "NumPy", "times ahead"], [...rows, ...smallRows]),
  ].join("\n");
}
