/**
 * How much smaller and how quick is each packing?  bun bench/packings.ts [--json] [--smoke]
 *
 * Matrices of 2560 x 6912: weights alike often, nine in ten zero, runs of forty. Ratio over a byte
 * a weight; packing in TypeScript; unpacking natively on one thread, by plain code (the scalar
 * level) and by this machine's vectors, and how many times quicker that is. Figures are medians.
 */
import { parseArgs } from "node:util";
import { type PackingName, packingNames } from "../src/checkpoint/index.ts";
import { Graph, Program } from "../src/graph/index.ts";
import { type IsaName, openCore, Region } from "../src/native/index.ts";
import { choosePacking, type MatrixShape, packMatrix } from "../src/quant/index.ts";
import {
  describeMachine,
  formatMachine,
  formatTable,
  measureRounds,
  rateOf,
} from "../src/report/index.ts";
import { randomWords } from "./random-bytes.ts";

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const { smoke, json } = values;
const shape: MatrixShape = smoke ? [20, 300] : [2560, 6912];
const count = shape[0] * shape[1];
const rounds = smoke ? 1 : 5;
const steps = smoke ? 1 : 8;

const random = randomWords(9);
const matrices: Record<string, Int8Array> = {
  "alike often": Int8Array.from({ length: count }, () => (random() % 3) - 1),
  "nine in ten zero": Int8Array.from({ length: count }, () => {
    const draw = random() % 20;
    return draw < 2 ? 2 * draw - 1 : 0;
  }),
  "runs of forty": Int8Array.from({ length: count }, (_, at) => (Math.floor(at / 40) % 3) - 1),
};

interface Result {
  matrix: string;
  packing: PackingName;
  best: boolean;
  bytes: number;
  ratio: number;
  /** Weights a second. */
  pack: number;
  unpackPlain: number;
  unpack: number;
}

const results: Result[] = [];
for (const [matrix, codes] of Object.entries(matrices)) {
  const { best } = choosePacking(codes, shape);
  for (const packing of packingNames) {
    results.push({ matrix, best: packing === best, ...(await measure(codes, packing)) });
  }
}
const machine = describeMachine(1);
if (json) console.log(JSON.stringify({ machine, shape, results }));
else console.log(`${formatMachine(machine)}\n\n${describe()}`);

async function measure(codes: Int8Array, packing: PackingName) {
  const bytes = packMatrix(codes, shape, packing);
  const pack = await measureRounds(
    { pack: () => rateOf(count, () => packMatrix(codes, shape, packing)) },
    smoke ? 1 : 3,
  );
  return {
    packing,
    bytes: bytes.length,
    ratio: count / bytes.length,
    pack: pack.pack.median,
    ...(await measureUnpacking(bytes, packing)),
  };
}

/** Runs a Program of the one instruction, on the scalar level and on the machine's own. */
async function measureUnpacking(bytes: Uint8Array, packing: PackingName) {
  const [rows, columns] = shape;
  using source = Region.create(bytes.length);
  using codes = Region.create(count);
  source.bytes().set(bytes);
  const graph = new Graph();
  const dims = [bytes.length];
  const packed = graph.stateValue(graph.state("source", bytes.length), { dtype: "u8", dims });
  const into = [
    graph.stateValue(graph.state("codes", count), { dtype: "i8", dims: [rows, columns] }),
  ];
  const attrs = { packing: packingNames.indexOf(packing), rows, columns };
  graph.apply("unpack_packed", [packed], { attrs, into });
  using program = new Program(graph);
  const run = () => program.submit({ regions: { source, codes }, steps, threads: 1 });
  const measureOn = async (isa?: IsaName): Promise<number> => {
    openCore(isa ? { isa } : {});
    await run();
    const { unpack } = await measureRounds({ unpack: () => rateOf(steps * count, run) }, rounds);
    return unpack.median;
  };
  return { unpackPlain: await measureOn("scalar"), unpack: await measureOn() };
}

function describe(): string {
  const giga = (rate: number): string => (rate / 1e9).toFixed(2);
  const rows = results.map((one) => [
    `${one.matrix}${one.best ? " (best)" : ""}`,
    one.packing,
    one.bytes,
    one.ratio.toFixed(2),
    giga(one.pack),
    giga(one.unpackPlain),
    giga(one.unpack),
    (one.unpack / one.unpackPlain).toFixed(1),
  ]);
  const header = ["weights", "packing", "bytes", "ratio", "pack G/s", "plain G/s", "unpack G/s"];
  return formatTable([...header, "times"], rows);
}
