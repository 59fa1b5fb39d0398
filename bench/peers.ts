/**
 * This engine and node-llama-cpp side by side, on files of random weights that the bench writes.
 *
 *   bun bench/peers.ts [--geometry 2b4t|110m] [--type TQ2_0|TQ1_0] [--threads 1|all]
 *                      [--isa best|avx2] [--what load|prefill|decode] [--depth 0|2048]
 *                      [--rounds N] [--folder path] [--json] [--smoke]
 *
 * All values are the default. An engine is a process, ours one more at AVX2; they take turns, with
 * read bandwidth and int8 peaks between. Decode is 64 greedy tokens, figures are medians with half
 * the spread. --smoke: a tiny model, ours alone, as where npm cannot bring the other.
 */
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { openCheckpoint } from "../src/checkpoint/index.ts";
import { coreInfo, probeMachine } from "../src/native/index.ts";
import {
  describeMachine,
  formatMachine,
  formatSummary,
  formatTable,
  measureRounds,
  type Summary,
  summarize,
  type Task,
} from "../src/report/index.ts";
import { findPeer, peerVersion } from "./peers/install.ts";
import { randomGguf, type TernaryType } from "./peers/random-gguf.ts";
import { type Engine, type Loaded, type Request, Subject } from "./peers/subject.ts";
import { geometries } from "./random-model.ts";

const depthMax = 2048;
const prefillSizes = [128, 512] as const;
const decodeTokens = 64;

const choices = {
  geometry: ["2b4t", "110m"],
  type: ["TQ2_0", "TQ1_0"],
  threads: ["1", "all"],
  isa: ["best", "avx2"],
  what: ["load", "prefill", "decode"],
  depth: ["0", "2048"],
} as const;

const { values } = parseArgs({
  options: {
    geometry: { type: "string", multiple: true },
    type: { type: "string", multiple: true },
    threads: { type: "string", multiple: true },
    isa: { type: "string", multiple: true },
    what: { type: "string", multiple: true },
    depth: { type: "string", multiple: true },
    rounds: { type: "string", default: "3" },
    folder: { type: "string", default: join(homedir(), ".cache", "bitnet-bun", "bench") },
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const { smoke, json, folder } = values;
const rounds = smoke ? 1 : Number(values.rounds);
const threadCounts = [
  ...new Set(chosen("threads").map((count) => (count === "all" ? coreInfo().threads : 1))),
];
const what = chosen("what");
const depths = chosen("depth").map(Number);
const wantedGeometries = smoke ? (["smoke"] as const) : chosen("geometry");
const wantedTypes = smoke ? (["TQ2_0"] as const) : chosen("type");
const ours = [process.execPath, join(import.meta.dir, "peers", "ours.ts")];
const oursAvx2 = "bitnet-bun, AVX2";
const peer = smoke ? { missing: "--smoke measures ours alone" } : findPeer(folder);
const isas = smoke && !values.isa ? ["best"] : chosen("isa");
const isAvx2Apart = isas.includes("avx2") && hasAvx2Below();
const engines: Record<string, Engine> = {
  ...((isas.includes("best") || !isAvx2Apart) && { "bitnet-bun": { command: ours } }),
  ...(isAvx2Apart && { [oursAvx2]: { command: ours, env: { BITNET_ISA: "avx2" } } }),
  ...("command" in peer && { "llama.cpp": { command: peer.command } }),
};

/** One engine at one thread count on one model. */
interface Row {
  engine: string;
  threads: number;
  prefill: Record<string, Summary>;
  decode: Record<string, Summary>;
}

interface LoadRow {
  engine: string;
  loadSeconds: Summary;
  firstTokenSeconds: Summary;
  residentBytes: number;
  bytesPerToken: number;
}

interface ModelResult {
  model: string;
  type: TernaryType;
  head: string;
  heads: string;
  readBytesPerSecond: Record<string, Summary>;
  int8OpsPerSecond: Record<string, Summary>;
  /** Of the AVX2 level, where that is measured. */
  avx2OpsPerSecond: Record<string, Summary>;
  loads: LoadRow[];
  rows: Row[];
}

const results: ModelResult[] = [];
for (const geometry of wantedGeometries) {
  for (const type of wantedTypes) {
    const result = await measureModel(geometry, type);
    results.push(result);
    if (!json) console.log(describe(result));
  }
}
const note = "missing" in peer ? `node-llama-cpp is not measured: ${peer.missing}` : undefined;
const machine = describeMachine();
if (json) console.log(JSON.stringify({ machine, peer: peerVersion, note, results }));
else console.log([`${formatMachine(machine)}`, ...(note === undefined ? [] : [note])].join("\n"));

function chosen<Name extends keyof typeof choices>(name: Name): (typeof choices)[Name][number][] {
  const known: readonly string[] = choices[name];
  for (const value of values[name] ?? []) {
    if (known.includes(value)) continue;
    console.error(`--${name}: want ${known.join(" or ")}, got ${value}`);
    process.exit(2);
  }
  return (values[name] ?? [...known]) as (typeof choices)[Name][number][];
}

function hasAvx2Below(): boolean {
  const { isa, isaLevels } = coreInfo();
  return isaLevels.includes("avx2") && isa !== "avx2";
}

async function measureModel(
  geometry: "2b4t" | "110m" | "smoke",
  type: TernaryType,
): Promise<ModelResult> {
  const config = {
    ...geometries[geometry],
    // Blocks of 256 weights.
    ...(smoke && { hiddenSize: 256, intermediateSize: 512, headWidth: 64 }),
  };
  const path = await randomGguf(folder, { name: geometry, config, type });
  const setup = { model: path, contextLength: depthMax + 256, folder };
  const fileBytes = await tensorBytes(path);
  const loads: LoadRow[] = [];
  if (what.includes("load")) {
    const threads = [Math.max(...threadCounts)];
    loads.push(...(await measureLoads({ ...setup, threads }, fileBytes)));
  }
  const measured = await measureRates({ ...setup, threads: threadCounts });
  const limits = (name: string): Record<string, Summary> =>
    Object.fromEntries(
      threadCounts.flatMap((count) => {
        const summary = measured[`${name} ${count}`];
        return summary ? [[count, summary]] : [];
      }),
    );
  return {
    model: geometry,
    type,
    head: "Q6_K, ours as int8",
    heads: `${config.headCount} heads over ${config.groupCount}, cache f16`,
    readBytesPerSecond: limits("read"),
    int8OpsPerSecond: limits("int8"),
    avx2OpsPerSecond: limits("avx2"),
    loads,
    rows: Object.keys(engines).flatMap((engine) =>
      threadCounts.map((threads) => {
        const pick = (task: string, sizes: readonly number[]): Record<string, Summary> =>
          Object.fromEntries(
            sizes.flatMap((size) => {
              const summary = measured[`${engine} ${threads} ${task} ${size}`];
              return summary ? [[size, summary]] : [];
            }),
          );
        const rates = { prefill: pick("prefill", prefillSizes), decode: pick("decode", depths) };
        return { engine, threads, ...rates };
      }),
    ),
  };
}

type Setup = Parameters<typeof Subject.start>[1];

/** Fresh processes in turns; files are in the page cache from the first round on. */
async function measureLoads(setup: Setup, fileBytes: number): Promise<LoadRow[]> {
  const samples = new Map<string, Loaded[]>(Object.keys(engines).map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, engine] of Object.entries(engines)) {
      await using subject = await Subject.start(engine, setup);
      samples.get(name)!.push(subject.loaded);
    }
  }
  return [...samples].map(([engine, all]) => ({
    engine,
    loadSeconds: summarize(all.map(({ loadSeconds }) => loadSeconds)),
    firstTokenSeconds: summarize(all.map(({ firstTokenSeconds }) => firstTokenSeconds)),
    residentBytes: Math.max(...all.map(({ residentBytes }) => residentBytes)),
    bytesPerToken: all[0]!.bytesPerToken ?? fileBytes,
  }));
}

async function measureRates(setup: Setup): Promise<Record<string, Summary>> {
  const tasks: Record<string, Task> = {};
  const seconds = smoke ? 0.001 : 0.2;
  for (const threads of threadCounts) {
    const probe = { threads, seconds };
    tasks[`read ${threads}`] = () => probeMachine("read_bytes_per_second", probe);
    tasks[`int8 ${threads}`] = () => probeMachine("int8_ops_per_second", probe);
  }
  await using stack = new AsyncDisposableStack();
  const isRun = what.includes("prefill") || what.includes("decode");
  for (const [engine, start] of isRun ? Object.entries(engines) : []) {
    const subject = stack.use(await Subject.start(start, setup));
    for (const threads of threadCounts) {
      if (engine === oursAvx2) {
        tasks[`avx2 ${threads}`] = () => subject.measure({ task: "int8", threads, seconds });
      }
      for (const request of requestsFor(threads)) {
        const size = request.task === "prefill" ? request.tokens : request.depth;
        tasks[`${engine} ${threads} ${request.task} ${size}`] = () => subject.measure(request);
      }
    }
  }
  return await measureRounds(told(setup.model, tasks), rounds);
}

/** The same tasks, each named on standard error as it begins: all of them take half an hour. */
function told(model: string, tasks: Readonly<Record<string, Task>>): Record<string, Task> {
  const all = Object.entries(tasks);
  let begun = 0;
  const begin = (name: string): void => {
    begun += 1;
    console.error(`${basename(model)}, ${begun} of ${rounds * all.length}: ${name}`);
  };
  return Object.fromEntries(
    all.map(([name, task]) => [
      name,
      () => {
        begin(name);
        return task();
      },
    ]),
  );
}

function requestsFor(threads: number): Exclude<Request, { task: "int8" }>[] {
  const prefills = prefillSizes.map((tokens) => ({ task: "prefill", threads, tokens }) as const);
  const decodes = depths.map(
    (depth) => ({ task: "decode", threads, tokens: decodeTokens, depth }) as const,
  );
  return [
    ...(what.includes("prefill") ? prefills : []),
    ...(what.includes("decode") ? decodes : []),
  ];
}

/** What a token reads at least: all tensors once, the tied table as the head. */
async function tensorBytes(path: string): Promise<number> {
  const { tensors } = await openCheckpoint(path);
  return [...tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0);
}

function describe(result: ModelResult): string {
  const { model, type, head, heads, loads, rows } = result;
  const show = (summary: Summary | undefined): string => (summary ? formatSummary(summary) : "");
  const parts = [`${model} in ${type}; head ${head}; ${heads}`];
  for (const threads of threadCounts) {
    const read = formatSummary(result.readBytesPerSecond[threads]!, 1e9);
    const int8 = formatSummary(result.int8OpsPerSecond[threads]!, 1e9);
    const avx2 = result.avx2OpsPerSecond[threads];
    const beside = avx2 ? `, at AVX2 ${formatSummary(avx2, 1e9)}` : "";
    parts.push(`threads ${threads}: read ${read} GB/s, int8 ${int8} GOP/s${beside}`);
  }
  if (loads.length > 0) {
    const header = ["engine", "load s", "first token s", "resident MB", "MB a token"];
    const cells = loads.map((row) => [
      row.engine,
      show(row.loadSeconds),
      show(row.firstTokenSeconds),
      Math.round(row.residentBytes / 1e6),
      Math.round(row.bytesPerToken / 1e6),
    ]);
    parts.push("", formatTable(header, cells));
  }
  if (rows.some(({ prefill, decode }) => Object.keys({ ...prefill, ...decode }).length > 0)) {
    const header = [
      "tokens/s",
      "threads",
      ...prefillSizes.map((size) => `prefill ${size}`),
      ...depths.map((depth) => `decode at ${depth}`),
    ];
    const cells = rows.map(({ engine, threads, prefill, decode }) => [
      engine,
      threads,
      ...prefillSizes.map((size) => show(prefill[size])),
      ...depths.map((depth) => show(decode[depth])),
    ]);
    parts.push("", formatTable(header, cells));
  }
  return `${parts.join("\n")}\n`;
}
