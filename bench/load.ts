/**
 * How near is loading a model to reading its bytes once?
 *
 *   bun bench/load.ts [--geometry 2b4t|110m] [--type TQ2_0|TQ1_0|hf] [--packing tile2|tile3]
 *      [--precision fast|exact] [--threads N] [--rounds N] [--cold] [--ready] [--folder F] [--json]
 *      [--smoke]
 *
 * Reading is that of all bytes into one buffer, and into memory for all of them; then the load, and
 * its parts alone: processes in turns, medians with half the spread. --cold: with the files dropped
 * from the system's memory; --ready: with memory that the machine has at hand.
 */
import { readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { TernaryLayout } from "../src/graph/index.ts";
import { bitnetNames } from "../src/models/index.ts";
import {
  describeMachine,
  formatMachine,
  formatSummary,
  formatTable,
  measureRounds,
  type Summary,
} from "../src/report/index.ts";
import { readThreads } from "./engine-runs.ts";
import type { LoadAnswer, LoadRequest, LoadTask } from "./load-child.ts";
import { randomGguf } from "./peers/random-gguf.ts";
import { randomFolder } from "./random-folder.ts";
import { geometries } from "./random-model.ts";

const { values } = parseArgs({
  options: {
    geometry: { type: "string", default: "2b4t" },
    type: { type: "string", multiple: true, default: ["TQ2_0", "hf"] },
    packing: { type: "string", default: "tile3" },
    precision: { type: "string", default: "fast" },
    threads: { type: "string", default: "0" },
    rounds: { type: "string", default: "5" },
    cold: { type: "boolean", default: false },
    ready: { type: "boolean", default: false },
    folder: { type: "string", default: join(homedir(), ".cache", "bitnet-bun", "bench") },
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const { smoke, json, cold, ready, folder } = values;
const threads = readThreads(values.threads);
const geometry = smoke ? "smoke" : oneOf("geometry", ["2b4t", "110m"]);
const packing: TernaryLayout = oneOf("packing", ["tile2", "tile3"]);
const precision = oneOf("precision", ["fast", "exact"]);
const rounds = smoke ? 1 : Number(values.rounds);
const tasks: readonly LoadTask[] = cold
  ? ["read", "load"]
  : ["read", "read-whole", "load", "open", "tokenizer", "weights"];

interface LoadResult {
  model: string;
  fileBytes: number;
  seconds: Partial<Record<LoadTask, Summary>>;
  /** The load's median divided by that of reading into one buffer. */
  timesReading: number;
  peakBytes: number;
}

const results: LoadResult[] = [];
for (const type of values.type) results.push(await measureModel(type));
const machine = describeMachine(threads);
if (json) console.log(JSON.stringify({ machine, cold, ready, packing, precision, results }));
else console.log(`${results.map(describe).join("\n\n")}\n\n${formatMachine(machine)}`);

function oneOf<Name extends string>(
  option: "geometry" | "packing" | "precision",
  known: readonly Name[],
): Name {
  const name = known.find((each) => each === values[option]);
  if (name !== undefined) return name;
  console.error(`--${option}: want ${known.join(" or ")}, got ${values[option]}`);
  process.exit(2);
}

async function measureModel(type: string): Promise<LoadResult> {
  const path = await write(type);
  const files = statSync(path).isDirectory()
    ? readdirSync(path).map((name) => join(path, name))
    : [path];
  const request = { path, files, packing, precision, threads, ready };
  let peakBytes = 0;
  const measured = await measureRounds(
    Object.fromEntries(
      tasks.map((task) => [
        task,
        async () => {
          const answer = await ask({ ...request, task });
          if (task === "load") peakBytes = Math.max(peakBytes, answer.peakBytes);
          return answer.seconds;
        },
      ]),
    ),
    rounds,
  );
  return {
    model: `${geometry} ${type}`,
    fileBytes: files.reduce((sum, file) => sum + statSync(file).size, 0),
    seconds: measured,
    timesReading: measured.load!.median / measured.read!.median,
    peakBytes,
  };
}

/** The model's path, once it is there. */
async function write(type: string): Promise<string> {
  // Blocks of 256 weights.
  const tiny = { hiddenSize: 256, intermediateSize: 512, headWidth: 64 };
  const config = { ...geometries[geometry], ...(smoke && tiny) };
  if (type === "TQ2_0" || type === "TQ1_0") {
    return randomGguf(folder, { name: geometry, config, type });
  }
  if (type === "hf") {
    return randomFolder(folder, { name: geometry, config, names: bitnetNames });
  }
  console.error(`--type: want TQ2_0, TQ1_0 or hf, got ${type}`);
  process.exit(2);
}

async function ask(request: LoadRequest): Promise<LoadAnswer> {
  // Reads nothing, and has the system forget the file: Linux with coreutils.
  const forget = (file: string) => Bun.spawnSync(["dd", `if=${file}`, "iflag=nocache", "count=0"]);
  if (cold) request.files.forEach(forget);
  const script = join(import.meta.dir, "load-child.ts");
  const child = Bun.spawn([process.execPath, script, JSON.stringify(request)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`${request.task} of ${request.path} failed`);
  return JSON.parse(text) as LoadAnswer;
}

function describe({ model, fileBytes, seconds, timesReading, peakBytes }: LoadResult): string {
  const conditions = `${cold ? ", cold" : ""}${ready ? ", memory ready" : ""}`;
  const rows = tasks.map((task) => [task, formatSummary(seconds[task]!, 1e-3)]);
  return [
    `${model}, ${(fileBytes / 1e6).toFixed(0)} MB, ${packing}, ${precision}${conditions}`,
    formatTable(["what", "ms"], rows),
    `a load takes ${timesReading.toFixed(2)} times the reading` +
      // What was touched before counts too.
      (ready ? "" : `, at most ${(peakBytes / 2 ** 20).toFixed(0)} MiB`),
  ].join("\n");
}
