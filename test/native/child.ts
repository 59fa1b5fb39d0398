/**
 * Ways for a process to end while the core works; lifecycle.test.ts starts it with one as argument.
 * Prints what it got to, and ends by itself with code 0 unless the way says otherwise.
 */
import { join } from "node:path";
import { memoryMetrics, Region } from "../../src/native/index.ts";
import { countingInputs, countingProgram, countOf, endless } from "./counting.ts";
import type { WorkerAnswer, WorkerOrder } from "./worker.ts";

/** A run of `steps`, on the main thread's behalf. */
function start(steps: number, onStep?: (done: number) => void): Promise<number> {
  const program = countingProgram();
  const count = Region.create(64);
  const run = { inputs: countingInputs, regions: { count }, steps, threads: 2, onStep };
  return program.submit(run);
}

function startWorker(order: WorkerOrder): { worker: Worker; answer: Promise<WorkerAnswer> } {
  const worker = new Worker(join(import.meta.dir, "worker.ts"));
  const answer = new Promise<WorkerAnswer>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
  });
  worker.postMessage(order);
  return { worker, answer };
}

const ways: Record<string, () => Promise<void> | void> = {
  /** process.exit while a run is under way. */
  async exit() {
    void start(endless);
    await Bun.sleep(30);
    process.exit(0);
  },

  /** Until a signal comes. */
  async wait() {
    await start(endless);
  },

  /** process.exit out of a run's own callback. */
  async "exit in a callback"() {
    await start(endless, (done) => {
      if (done > 100) process.exit(0);
    });
  },

  /** process.exit with many runs in the queue. */
  async "exit with a queue"() {
    for (let index = 0; index < 50; index += 1) void start(endless);
    await Bun.sleep(10);
    process.exit(0);
  },

  /** Nothing is left to do but the run, which nobody waits for. */
  "fall off the end"() {
    void start(20_000).then((steps) => console.log(`${steps} steps`));
  },

  /** An error that nobody catches; code 1. */
  async "die of an error"() {
    void start(endless);
    await Bun.sleep(10);
    throw new Error("on purpose");
  },

  async "exit beside a Worker's run"() {
    const { answer } = startWorker({ steps: endless, told: true });
    console.log(`started ${(await answer).state}`);
    process.exit(0);
  },

  async "exit from a Worker"() {
    void start(endless);
    const { worker } = startWorker({ steps: endless, exits: true });
    await new Promise((resolve) => worker.addEventListener("close", resolve));
    process.exit(0);
  },

  /** Their runs are cancelled and all that they held is given back. */
  async "terminate Workers"() {
    for (let round = 0; round < 5; round += 1) {
      const { worker, answer } = startWorker({ steps: endless, told: true });
      await answer;
      const closed = new Promise((resolve) => worker.addEventListener("close", resolve));
      worker.terminate();
      await closed;
      Bun.gc(true);
    }
    for (let left = 400; left > 0 && memoryMetrics().used > 0; left -= 1) await Bun.sleep(5);
    console.log(`${memoryMetrics().used} bytes, ${await start(5000)} steps`);
  },

  async "terminate a Worker beside a run"() {
    const own = start(20_000);
    const { worker, answer } = startWorker({ steps: endless, told: true });
    await answer;
    worker.terminate();
    console.log(`${await own} steps`);
    process.exit(0);
  },

  async "run beside Workers"() {
    const own = start(20_000);
    const workers = [1000, 2000, 3000].map((steps) => startWorker({ steps }));
    const answers = await Promise.all(workers.map(({ answer }) => answer));
    console.log(answers.map(({ steps, count }) => `${steps} ${count}`).join(", "));
    console.log(`${await own} steps`);
    for (const { worker } of workers) worker.terminate();
  },

  /** Releases everything while it runs. */
  async "dispose in the middle"() {
    const program = countingProgram();
    const count = Region.create(64);
    const kept = Region.create(64);
    const abort = new AbortController();
    const run = (region: Region) => ({
      inputs: countingInputs,
      regions: { count: region },
      steps: 3000,
      signal: abort.signal,
    });
    const runs = [program.submit(run(count)), program.submit(run(kept))];
    count[Symbol.dispose]();
    program[Symbol.dispose]();
    Bun.gc(true);
    await Promise.all(runs);
    console.log(`${countOf(kept)} steps`);
  },
};

const way = ways[process.argv[2] ?? ""];
if (!way) throw new Error(`want one of ${Object.keys(ways).join(", ")}`);
await way();
