/**
 * One measurement of bench/load.ts, in a process of its own: nothing is compiled, cached or in
 * memory before but the files' pages. Its argument is the request, as JSON.
 */
import { statSync } from "node:fs";
import { openCheckpoint } from "../src/checkpoint/index.ts";
import { loadModel } from "../src/engine/index.ts";
import type { TernaryLayout } from "../src/graph/index.ts";
import { loadDecoder } from "../src/models/index.ts";
import { coreInfo, Region } from "../src/native/index.ts";
import { peakResidentBytes } from "../src/report/index.ts";
import { tokenizerOf } from "../src/text/index.ts";

/** What is measured: `read` is one buffer used again and again, `read-whole` memory for it all. */
export type LoadTask = "read" | "read-whole" | "load" | "open" | "tokenizer" | "weights";

export interface LoadRequest {
  task: LoadTask;
  /** The model, and all files of it. */
  path: string;
  files: string[];
  packing: TernaryLayout;
  precision: "fast" | "exact";
  threads: number;
  /** Touches memory and gives it back first, so that the machine has it at hand. */
  ready: boolean;
}

export interface LoadAnswer {
  seconds: number;
  peakBytes: number;
}

const bufferBytes = 8 << 20;
const pageBytes = 4096;

if (import.meta.main) {
  const request = JSON.parse(process.argv[2]!) as LoadRequest;
  // Opens the core.
  coreInfo();
  if (request.ready) touch(request.files.reduce((sum, file) => sum + 2 * statSync(file).size, 0));
  const seconds = await measure(request);
  const answer: LoadAnswer = { seconds, peakBytes: peakResidentBytes() };
  console.log(JSON.stringify(answer));
}

async function measure(request: LoadRequest): Promise<number> {
  const { task, path, packing, precision, threads } = request;
  switch (task) {
    case "read":
      return secondsOf(() => read(request.files, bufferBytes));
    case "read-whole":
      return secondsOf(() => read(request.files));
    case "load":
      return secondsOf(() => loadModel(path, { packing, precision, threads }));
    case "open":
      return secondsOf(() => openCheckpoint(path));
    case "tokenizer": {
      const checkpoint = await openCheckpoint(path);
      return secondsOf(() => tokenizerOf(checkpoint));
    }
    case "weights": {
      const checkpoint = await openCheckpoint(path);
      return secondsOf(() => loadDecoder(checkpoint, { packing, int8Head: precision === "fast" }));
    }
  }
}

/** Reads files from the first byte to the last, into one buffer or into one a file. */
function read(files: readonly string[], bufferMax = Number.POSITIVE_INFINITY): void {
  for (const path of files) {
    const { size } = statSync(path);
    const buffer = Region.create(Math.min(size, bufferMax), { tag: "staging" });
    for (let offset = 0; offset < size; offset += buffer.size) {
      buffer.readFile({ path, offset, size: Math.min(buffer.size, size - offset) });
    }
  }
}

/** A virtual machine may get from its host what nobody has used for a while, at a price. */
function touch(size: number): void {
  using region = Region.create(size, { tag: "other" });
  const bytes = region.bytes();
  for (let at = 0; at < size; at += pageBytes) bytes[at] = 1;
}

async function secondsOf(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
