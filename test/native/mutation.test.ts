/** 100,000 seeded mutants of real blobs: valid or refused, none crashes, valid stay in bounds. */
import { expect, test } from "bun:test";
import { memoryMetrics } from "../../src/native/index.ts";
import { Random } from "../checkpoint/random.ts";
import { campaign } from "./mutants.ts";
import { modelParents, smallParents } from "./parents.ts";

test("60,000 mutants of every op: valid or refused, and valid ones run within their bounds", async () => {
  const parents = smallParents();
  const before = memoryMetrics().regions;
  const outcome = await campaign(parents, { count: 60_000, random: new Random(1), runs: 5000 });
  expect(outcome.valid + outcome.refused).toBe(60_000);
  expect(outcome.valid).toBeGreaterThan(5000);
  expect(outcome.run).toBe(5000);
  for (const part of ["header", "sym", "region", "dim", "slot", "instruction"]) {
    expect(outcome.parts).toContain(part);
  }
  // What was forgotten earlier may have been collected meanwhile.
  expect(memoryMetrics().regions).toBeLessThanOrEqual(before);
}, 60_000);

test("40,000 mutants of a model's programs: valid or refused", async () => {
  const parents = await modelParents("bitnet-2b4t-packed");
  const outcome = await campaign(parents, { count: 40_000, random: new Random(2), runs: 0 });
  expect(outcome.valid + outcome.refused).toBe(40_000);
  expect(outcome.valid).toBeGreaterThan(2000);
  expect(outcome.parts).toContain("feedback");
}, 60_000);
