/** Runs from submission to their end: steps, aborts, faults, arguments, several at once. */
import { afterAll, describe, expect, test } from "bun:test";
import { Graph, Program, type ProgramRun } from "../../src/graph/index.ts";
import { NativeProgram, Region, submitRun } from "../../src/native/index.ts";
import { Random } from "../checkpoint/random.ts";
import {
  countingInputs,
  countingProgram,
  countOf,
  endless,
  pairInputs,
  pairProgram,
  pairSize,
  uniform,
} from "./counting.ts";

const aborted = { code: "native/aborted" };

describe("a run", () => {
  test("tells its steps in rising order, the last before it resolves, off the event loop", async () => {
    using program = pairProgram(false);
    using first = Region.create(pairSize);
    using second = Region.create(pairSize);
    const seen: number[] = [];
    let ticks = 0;
    const ticking = setInterval(() => {
      ticks += 1;
    }, 1);
    const steps = await program.submit({
      inputs: pairInputs,
      regions: { first, second },
      steps: 20_000,
      threads: 2,
      onStep: (done) => seen.push(done),
    });
    clearInterval(ticking);
    expect(steps).toBe(20_000);
    expect(seen.at(-1)).toBe(20_000);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(new Set(seen).size).toBe(seen.length);
    expect(uniform(second)).toBe(20_000);
    expect(ticks).toBeGreaterThan(3);
  });

  test("that nobody waits for goes on to its end", async () => {
    using program = countingProgram();
    using count = Region.create(64);
    void program.submit({ inputs: countingInputs, regions: { count }, steps: 5000 });
    for (let left = 1000; left > 0 && countOf(count) < 5000; left -= 1) await Bun.sleep(5);
    expect(countOf(count)).toBe(5000);
  });

  test("on the caller's thread does the same at once, unless it costs too much", () => {
    using program = countingProgram();
    using count = Region.create(64);
    program.now({ inputs: countingInputs, regions: { count }, steps: 100 });
    expect(countOf(count)).toBe(100);
    for (const steps of [100_000, endless]) {
      const run = { inputs: countingInputs, regions: { count }, steps };
      expect(() => program.now(run)).toThrow("too much work to do at once; submit it");
    }
    expect(countOf(count)).toBe(100);
  });
});

describe("aborting", () => {
  test("in the middle ends the run between steps, and the program runs again", async () => {
    using program = countingProgram();
    using count = Region.create(64);
    const abort = new AbortController();
    let seen = 0;
    const run = program.submit({
      inputs: countingInputs,
      regions: { count },
      steps: endless,
      signal: abort.signal,
      onStep(done) {
        seen = done;
        if (done > 1000) abort.abort();
      },
    });
    await expect(run).rejects.toMatchObject(aborted);
    expect(seen).toBeGreaterThan(1000);
    const after = countOf(count);
    expect(after).toBeGreaterThanOrEqual(seen);
    await Bun.sleep(5);
    expect(countOf(count)).toBe(after);
    await program.submit({ inputs: countingInputs, regions: { count }, steps: 3 });
    expect(countOf(count)).toBe(after + 3);
  });

  test("before the start does nothing, after the end neither", async () => {
    using program = countingProgram();
    using count = Region.create(64);
    const run = { inputs: countingInputs, regions: { count } };
    await expect(program.submit({ ...run, signal: AbortSignal.abort() })).rejects.toMatchObject(
      aborted,
    );
    expect(countOf(count)).toBe(0);
    const abort = new AbortController();
    expect(await program.submit({ ...run, signal: abort.signal })).toBe(1);
    abort.abort();
    expect(countOf(count)).toBe(1);
  });

  test("never leaves half of a step behind that commits, at any moment, on any threads", async () => {
    using program = pairProgram(true);
    using first = Region.create(pairSize);
    using second = Region.create(pairSize);
    const random = new Random(5);
    for (let round = 0; round < 40; round += 1) {
      const abort = new AbortController();
      const run = program.submit({
        inputs: pairInputs,
        regions: { first, second },
        steps: endless,
        threads: 1 + (round % 3),
        signal: abort.signal,
      });
      const wait = random.below(3);
      if (wait > 0) await Bun.sleep(wait);
      abort.abort();
      await expect(run).rejects.toMatchObject(aborted);
      expect(uniform(second)).toBe(uniform(first));
    }
    expect(uniform(first)).toBeGreaterThan(10);
  });

  test("ends a run that waits its turn behind another", async () => {
    using program = countingProgram();
    using count = Region.create(64);
    using other = Region.create(64);
    const running = new AbortController();
    const waiting = new AbortController();
    const long = program.submit({
      inputs: countingInputs,
      regions: { count },
      steps: endless,
      signal: running.signal,
    });
    const short = program.submit({
      inputs: countingInputs,
      regions: { count: other },
      steps: endless,
      signal: waiting.signal,
    });
    waiting.abort();
    await expect(short).rejects.toMatchObject(aborted);
    running.abort();
    await expect(long).rejects.toMatchObject(aborted);
  });
});

describe("several runs", () => {
  test("take turns: a short one ends long before a long one that came first", async () => {
    using program = countingProgram();
    using long = Region.create(64);
    using short = Region.create(64);
    const abort = new AbortController();
    const first = program.submit({
      inputs: countingInputs,
      regions: { count: long },
      steps: endless,
      signal: abort.signal,
    });
    const run = { inputs: countingInputs, regions: { count: short }, steps: 500 };
    expect(await program.submit(run)).toBe(500);
    expect(countOf(short)).toBe(500);
    const before = countOf(long);
    for (let left = 1000; left > 0 && countOf(long) === before; left -= 1) await Bun.sleep(5);
    expect(countOf(long)).toBeGreaterThan(before);
    abort.abort();
    await expect(first).rejects.toMatchObject(aborted);
  });

  test("fifty at once, of two programs, each come out right", async () => {
    using counting = countingProgram();
    using pair = pairProgram(false);
    const runs = Array.from({ length: 50 }, async (_, index) => {
      const steps = 1 + index * 3;
      const threads = 1 + (index % 4);
      if (index % 5 !== 0) {
        using count = Region.create(64);
        await counting.submit({ inputs: countingInputs, regions: { count }, steps, threads });
        return countOf(count) - steps;
      }
      using first = Region.create(pairSize);
      using second = Region.create(pairSize);
      await pair.submit({ inputs: pairInputs, regions: { first, second }, steps, threads });
      return uniform(second) - steps + uniform(first) - steps;
    });
    expect(await Promise.all(runs)).toEqual(new Array(50).fill(0));
  });

  test("a callback that throws ends its own run with that error and no other", async () => {
    using program = countingProgram();
    using one = Region.create(64);
    using other = Region.create(64);
    const failing = program.submit({
      inputs: countingInputs,
      regions: { count: one },
      steps: endless,
      onStep() {
        throw new RangeError("not this one");
      },
    });
    const fine = program.submit({ inputs: countingInputs, regions: { count: other }, steps: 400 });
    await expect(failing).rejects.toThrow(new RangeError("not this one"));
    expect(await fine).toBe(400);
  });
});

describe("a fault", () => {
  test("ends the run in its step, and nothing after the bad instruction happens", async () => {
    const graph = new Graph();
    const rows = graph.input("rows", "i32", [1]);
    const one = graph.input("one", "i32", [1]);
    const table = graph.input("table", "f32", [4, 2]);
    const state = (name: string) =>
      graph.stateValue(graph.state(name, 4), { dtype: "i32", dims: [1] });
    const [before, after] = [state("before"), state("after")];
    graph.one("add", [before, one], { into: [before] });
    graph.one("gather_rows", [table, rows], { into: [graph.output("y", "f32", [1, 2])] });
    graph.one("add", [after, one], { into: [after] });
    graph.feedback(graph.one("add", [rows, one]), rows);
    using program = new Program(graph);
    using first = Region.create(64);
    using second = Region.create(64);
    using y = Region.create(64);
    const inputs = { rows: Int32Array.of(0), one: Int32Array.of(1), table: new Float32Array(8) };
    const run = { inputs, regions: { before: first, after: second, y }, steps: 10 };
    const message = "instruction 1 refused its data: row out of range (4)";
    await expect(program.submit(run)).rejects.toThrow(message);
    const counts = [first, second].map((region) => new Int32Array(region.bytes().buffer)[0]);
    expect(counts).toEqual([5, 4]);
    expect(() => program.now(run)).toThrow(message);
  });
});

describe("refused arguments", () => {
  const program = countingProgram();
  const count = Region.create(128);
  const good: ProgramRun = { inputs: countingInputs, regions: { count } };
  afterAll(() => {
    program[Symbol.dispose]();
    count[Symbol.dispose]();
  });

  async function expectRefusal(run: ProgramRun, message: string | RegExp): Promise<void> {
    await expect(program.submit(run)).rejects.toThrow(message);
    expect(() => program.now(run)).toThrow(message);
  }

  test("regions that are missing, unknown, too small, out of line or beyond the end", async () => {
    using small = Region.create(63);
    await expectRefusal({ inputs: countingInputs }, "the region count is not bound");
    await expectRefusal({ ...good, regions: { count, other: count } }, "no region named other");
    await expectRefusal({ ...good, regions: { count: small } }, "do not fit");
    for (const offset of [1, 8, 32, 128, 2 ** 40]) {
      await expectRefusal({ ...good, regions: { count: { region: count, offset } } }, "do not fit");
    }
    for (const offset of [-64, 0.5, Number.NaN]) {
      const run = { ...good, regions: { count: { region: count, offset } } };
      await expectRefusal(run, "is not a whole number");
    }
    await program.submit({ ...good, regions: { count: { region: count, offset: 64 } } });
  });

  test("inputs that are missing or too long", async () => {
    await expectRefusal({ regions: { count } }, "the input one is missing");
    const inputs = { one: new Int32Array(17) };
    await expectRefusal({ ...good, inputs }, "the input one: 68 bytes, at most 64");
  });

  test("steps and threads that are no counts", async () => {
    await expectRefusal({ ...good, steps: 0 }, "do not fit");
    for (const steps of [-1, 1.5, Number.NaN, 2 ** 32]) {
      await expectRefusal({ ...good, steps }, "is not a whole number");
    }
    for (const threads of [-1, 0.5]) {
      await expectRefusal({ ...good, threads }, "is not a whole number");
    }
    expect(await program.submit({ ...good, threads: 1000 })).toBe(1);
  });

  test("one piece of memory twice, where one of the two is written", async () => {
    using pair = pairProgram(false);
    using shared = Region.create(2 * pairSize);
    const second = { region: shared, offset: pairSize - 64 };
    for (const place of [shared, second]) {
      const run = { inputs: pairInputs, regions: { first: shared, second: place } };
      await expect(pair.submit(run)).rejects.toThrow("do not fit");
    }
    const apart = { first: shared, second: { region: shared, offset: pairSize } };
    expect(await pair.submit({ inputs: pairInputs, regions: apart })).toBe(1);
  });

  test("a mapped file where something is to be written", async () => {
    using mapped = Region.map({ path: import.meta.path, offset: 0, size: 64 });
    await expectRefusal({ ...good, regions: { count: mapped } }, "do not fit");
  });

  test("regions and programs after their release", async () => {
    const gone = Region.create(64);
    gone[Symbol.dispose]();
    await expectRefusal({ ...good, regions: { count: gone } }, "after its release");
    const disposed = countingProgram();
    disposed[Symbol.dispose]();
    disposed[Symbol.dispose]();
    await expect(disposed.submit(good)).rejects.toMatchObject({ code: "native/disposed" });
    expect(() => disposed.now(good)).toThrow("after its release");
  });

  test("a run that does not have what its program needs", async () => {
    const request = { program: program.native, bindings: [], syms: [], inputs: [] };
    await expect(submitRun(request)).rejects.toMatchObject({ code: "native/invalid-argument" });
    expect(() => new NativeProgram(new Uint8Array(3), 1)).toThrow("header 0");
  });
});
