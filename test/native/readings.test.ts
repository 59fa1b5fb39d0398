/** Runs that read a part of a file into a region before their first step. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BitNetError } from "../../src/errors/index.ts";
import { Graph, Program } from "../../src/graph/index.ts";
import { memoryMetrics, Region } from "../../src/native/index.ts";
import { threadCounts } from "../graph/everywhere.ts";

/** More than every worker takes at a time, and no whole number of it. */
const size = (3 << 20) + 5;
const content = Uint8Array.from({ length: size }, (_, index) => (index * 31) ^ (index >> 11));

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "readings-"));
  path = join(folder, "weights");
  writeFileSync(path, content);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A Program that adds the first four floats of the state "staging" to themselves. */
function doubling(): Program {
  const graph = new Graph();
  const staging = graph.stateValue(graph.state("staging", size), { dtype: "f32", dims: [4] });
  graph.one("add", [staging, staging], { into: [graph.output("y", "f32", [4])] });
  return new Program(graph);
}

async function errorOf(run: Promise<unknown>): Promise<BitNetError> {
  const error: unknown = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof BitNetError) return error;
  throw new Error(`want a BitNetError, got ${String(error)}`);
}

describe("a run with a reading", () => {
  test("has the bytes in its region before the first step, for any number of threads", async () => {
    using program = doubling();
    for (const threads of threadCounts) {
      using staging = Region.create(size);
      using y = Region.create(16);
      const from = { path, offset: 7, size: size - 7 };
      const reading = { region: "staging", from, ahead: { offset: 0, size: 1 << 20 } };
      await program.submit({ regions: { staging, y }, reading, threads });
      expect(Buffer.compare(staging.bytes(0, size - 7), content.subarray(7))).toBe(0);
      expect([...staging.bytes(size - 7)]).toEqual([0, 0, 0, 0, 0, 0, 0]);
      const read = new Float32Array(content.slice(7, 23).buffer);
      expect(new Float32Array(y.bytes().slice().buffer)).toEqual(read.map((value) => 2 * value));
    }
  });

  test("reads once, however many steps it has", async () => {
    const graph = new Graph();
    const staging = graph.stateValue(graph.state("staging", 16), { dtype: "f32", dims: [4] });
    graph.one("add", [staging, staging], { into: [staging] });
    using program = new Program(graph);
    using region = Region.create(16);
    const reading = { region: "staging", from: { path, offset: 0, size: 16 } };
    await program.submit({ regions: { staging: region }, reading, steps: 20 });
    const once = new Float32Array(content.slice(0, 16).buffer);
    expect(new Float32Array(region.bytes().slice().buffer)).toEqual(
      once.map((value) => value * 2 ** 20),
    );
  });

  test("runs that wait share a buffer: each reads when its turn has come", async () => {
    using program = doubling();
    using staging = Region.create(size);
    const outputs = Array.from({ length: 20 }, () => Region.create(16));
    const runs = outputs.map((y, index) => {
      const from = { path, offset: 16 * index, size: 1 << 20 };
      return program.submit({ regions: { staging, y }, reading: { region: "staging", from } });
    });
    await Promise.all(runs);
    for (const [index, y] of outputs.entries()) {
      const read = new Float32Array(content.slice(16 * index, 16 * index + 16).buffer);
      expect(new Float32Array(y.bytes().slice().buffer)).toEqual(read.map((value) => 2 * value));
      y[Symbol.dispose]();
    }
  });
});

describe("a reading that fails", () => {
  test("ends the run with native/io, the file, and nothing kept", async () => {
    using program = doubling();
    using staging = Region.create(size);
    using y = Region.create(16);
    const short = join(folder, "short");
    writeFileSync(short, content);
    truncateSync(short, 2 << 20);
    const cases = [
      [{ path: short, offset: 0, size }, "shorter than expected"],
      [{ path: short, offset: size, size: 1 }, "shorter than expected"],
      [{ path: join(folder, "none"), offset: 0, size: 1 }, "cannot be opened"],
      [{ path: folder, offset: 0, size: 1 }, "cannot be read"],
    ] as const;
    // Makes the arena, which stays.
    const whole = { region: "staging", from: { path, offset: 0, size } };
    await program.submit({ regions: { staging, y }, reading: whole });
    for (const [from, words] of cases) {
      y.bytes().fill(9);
      for (const threads of threadCounts) {
        const before = memoryMetrics().used;
        const reading = { region: "staging", from };
        const error = await errorOf(program.submit({ regions: { staging, y }, reading, threads }));
        expect(error.code).toBe("native/io");
        expect(error.message).toContain(
          `reading ${from.size} bytes at ${from.offset} of ${from.path}`,
        );
        expect(error.message).toContain(words);
        expect(memoryMetrics().used).toEqual(before);
      }
      expect([...y.bytes()]).toEqual(new Array(16).fill(9));
    }
  });

  test("one that does not fit its region, or goes where no run writes, is refused", async () => {
    const graph = new Graph();
    const x = graph.input("x", "f32", [4]);
    using weights = Region.create(64);
    const constant = graph.constant({
      region: weights,
      offset: 0,
      dtype: "f32",
      layout: "strided",
      shape: [4],
    });
    const sum = graph.one("add", [x, constant]);
    graph.one("mul", [sum, sum], { into: [graph.output("y", "f32", [4])] });
    using program = new Program(graph);
    using y = Region.create(16);
    const run = { inputs: { x: new Float32Array(4) }, regions: { y } };
    const from = { path, offset: 0, size: 17 };
    const refused = async (region: string) => {
      const error = await errorOf(program.submit({ ...run, reading: { region, from } }));
      expect(error.code).toBe("native/invalid-argument");
    };
    await refused("y");
    await refused("x");
    const fitting = { region: "y", from: { ...from, size: 16 } };
    expect(() => program.now({ ...run, reading: fitting })).toThrow("arguments do not fit");
    await program.submit({ ...run, reading: fitting });
  });
});
