/** A Worker of child.ts: runs what it is ordered to and tells how it went. */
import { Region } from "../../src/native/index.ts";
import { countingInputs, countingProgram, countOf } from "./counting.ts";

declare const self: Worker;

export interface WorkerOrder {
  steps: number;
  /** Answer when the run has begun, not when it has ended. */
  told?: boolean;
  /** End the Worker from within, in the middle of the run. */
  exits?: boolean;
}

export interface WorkerAnswer {
  state: "running" | "done";
  steps: number;
  count: number;
}

self.onmessage = async ({ data }: MessageEvent<WorkerOrder>) => {
  const program = countingProgram();
  const count = Region.create(64);
  let told = false;
  const steps = await program.submit({
    inputs: countingInputs,
    regions: { count },
    steps: data.steps,
    threads: 2,
    onStep(done) {
      if (data.exits && done > 100) process.exit(0);
      if (!data.told || told) return;
      told = true;
      self.postMessage({ state: "running", steps: done, count: countOf(count) });
    },
  });
  if (!data.told) self.postMessage({ state: "done", steps, count: countOf(count) });
};
