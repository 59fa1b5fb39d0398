/**
 * How near operations on tensors come to the memory's own rate, for the benches of them: each
 * operation in turns with a run that reads and writes as many bytes, with a plain loop over typed
 * arrays, and with NumPy. Imported by the benches; runs nothing.
 */
import { parseArgs } from "node:util";
import { streamRate } from "../src/native/index.ts";
import {
  describeMachine,
  formatMachine,
  formatTable,
  type MachineDescription,
  measureRounds,
  summarize,
} from "../src/report/index.ts";
import { type Tensor, uniform } from "../src/tensor/index.ts";
import { NumPy } from "./numpy.ts";

/** As many of them as an operation reads; the others are not looked at. */
export interface Operands<T> {
  x: T;
  y: T;
  z: T;
}

/** An operation on arrays of f32, `rows` of them 1000 wide or all in one row. */
export interface SpeedCase {
  /** Also that of the case in numpy-timer.py. */
  name: string;
  /** How many arrays it reads, and whether it writes one: what a bandwidth run moves. */
  reads: number;
  writes: 0 | 1;
  /** The operands are matrices of rows of 1000. */
  hasRows?: boolean;
  ours(operands: Operands<Tensor>): Tensor;
  /** As people write it without a library. */
  plain?(out: Float32Array, operands: Operands<Float32Array>): unknown;
}

/** Medians of rounds, each the median of single calls: so is the run of the memory, and NumPy. */
export interface SpeedRow {
  name: string;
  elements: number;
  microseconds: number;
  bytesPerSecond: number;
  /** Of a run that reads and writes as many bytes, the better of plain and streaming stores. */
  bandwidthBytesPerSecond: number;
  shareOfBandwidth: number;
  /** How many times as long the others take; null where they were not measured. */
  plainRatio: number | null;
  numpyRatio: number | null;
}

interface SpeedReport {
  machine: MachineDescription;
  numpy: string | null;
  rows: SpeedRow[];
}

const width = 1000;
/** Of one task in a round, about. */
const taskSeconds = 0.03;
const callsMin = 3;

/** Measures the cases as the command line asks and prints a table, or an object with --json. */
export async function runSpeedBench(cases: readonly SpeedCase[]): Promise<void> {
  const { values } = parseArgs({
    options: {
      sizes: { type: "string", default: "100000,1000000" },
      only: { type: "string" },
      json: { type: "boolean", default: false },
      smoke: { type: "boolean", default: false },
    },
  });
  const { smoke } = values;
  const sizes = smoke ? [4000] : values.sizes.split(",").map(Number);
  const wanted = cases.filter(({ name }) => !values.only || values.only.split(",").includes(name));
  using numpy = smoke ? null : await NumPy.start(1);
  const rows: SpeedRow[] = [];
  for (const elements of sizes) {
    rows.push(...(await measureSize(wanted, elements, { smoke, numpy })));
  }
  const report: SpeedReport = { machine: describeMachine(), numpy: numpy?.version ?? null, rows };
  console.log(values.json ? JSON.stringify(report) : describe(report));
}

interface Setting {
  smoke: boolean;
  numpy: NumPy | null;
}

async function measureSize(
  cases: readonly SpeedCase[],
  elements: number,
  { smoke, numpy }: Setting,
): Promise<SpeedRow[]> {
  const shape = [elements / width, width];
  using stack = new DisposableStack();
  const inputs = named((seed) => stack.use(uniform(shape, { seed, low: -1, high: 1 })));
  const flat = named((_, name) => inputs[name].reshape(-1));
  const arrays = named((_, name) => inputs[name].data() as Float32Array);
  const out = new Float32Array(elements);
  const seconds = smoke ? 0.0001 : taskSeconds;
  const calls = Math.max(callsMin, Math.round((taskSeconds * 1e10) / (12 * elements)));
  const tasks: Record<string, () => number | Promise<number>> = {};
  for (const { name, reads, writes, hasRows = false, ours, plain } of cases) {
    const operands = hasRows ? inputs : flat;
    tasks[`ours ${name}`] = () => timeOf(seconds, () => computed(ours(operands)));
    const traffic = { readBytes: 4 * reads * elements, writeBytes: 4 * writes * elements };
    const { readBytes, writeBytes } = traffic;
    const memory = `memory ${readBytes} ${writeBytes}`;
    tasks[memory] = () => streamRate(traffic, { seconds });
    if (writes > 0) {
      tasks[`${memory} past`] = () => streamRate({ ...traffic, pastCaches: true }, { seconds });
    }
    if (plain) tasks[`plain ${name}`] = () => timeOf(0, () => plain(out, arrays));
    if (numpy) {
      tasks[`numpy ${name}`] = async () =>
        1000 * (await numpy.time(name, { size: elements, calls: Math.min(calls, 200) }));
    }
  }
  const measured = await measureRounds(tasks, smoke ? 1 : elements > 1e7 ? 3 : 7);
  const median = (task: string): number | null => measured[task]?.median ?? null;
  return cases.map(({ name, reads, writes }) => {
    const bytes = 4 * (reads + writes) * elements;
    const microseconds = median(`ours ${name}`)!;
    const memory = `memory ${4 * reads * elements} ${4 * writes * elements}`;
    const bandwidth = Math.max(median(memory)!, median(`${memory} past`) ?? 0);
    const rate = (1e6 * bytes) / microseconds;
    const ratio = (other: number | null): number | null =>
      other === null ? null : other / microseconds;
    return {
      name,
      elements,
      microseconds,
      bytesPerSecond: rate,
      bandwidthBytesPerSecond: bandwidth,
      shareOfBandwidth: rate / bandwidth,
      plainRatio: ratio(median(`plain ${name}`)),
      numpyRatio: ratio(median(`numpy ${name}`)),
    };
  });
}

function named<T>(make: (seed: number, name: keyof Operands<T>) => T): Operands<T> {
  return { x: make(1, "x"), y: make(2, "y"), z: make(3, "z") };
}

/** Runs what was recorded, and gives its memory back, as the end of a variable does in Python. */
function computed(result: Tensor): void {
  using made = result;
  using first = made.at(...made.shape.map(() => 0));
  first.item();
}

/**
 * Microseconds of a call, the median of single ones in about so many seconds, behind one that does
 * not count: a core that someone else takes for a while, JavaScript's compiler among them, slows
 * down few of them.
 */
function timeOf(seconds: number, work: () => unknown): number {
  work();
  const times: number[] = [];
  let total = 0;
  while (times.length < callsMin || total < seconds * 1000) {
    const start = performance.now();
    work();
    const time = performance.now() - start;
    times.push(time * 1000);
    total += time;
  }
  return summarize(times).median;
}

function describe({ machine, numpy, rows }: SpeedReport): string {
  const cells = rows.map((row) => [
    row.name,
    row.elements,
    row.microseconds.toFixed(1),
    (row.bytesPerSecond / 1e9).toFixed(1),
    (row.bandwidthBytesPerSecond / 1e9).toFixed(1),
    `${(100 * row.shareOfBandwidth).toFixed(0)} %`,
    row.numpyRatio?.toFixed(2) ?? "",
    row.plainRatio?.toFixed(2) ?? "",
  ]);
  const header = ["operation", "elements", "us", "GB/s", "memory GB/s", "of it", "NumPy", "loop"];
  return [
    formatMachine(machine),
    `NumPy ${numpy ?? "absent"}; its column and that of plain loops: times as long as ours`,
    "",
    formatTable(header, cells),
  ].join("\n");
}
