/** Tables, the machine's description and resident memory. */
import { expect, test } from "bun:test";
import {
  describeMachine,
  formatMachine,
  formatTable,
  peakResidentBytes,
} from "../../src/report/index.ts";

test("formatTable: columns line up, the first to the left and the others to the right", () => {
  const table = formatTable(
    ["op", "GB/s"],
    [
      ["ternary_matmul", 52.1],
      ["\u00b5", "7"],
    ],
  );
  expect(table).toBe(
    [
      "| op             | GB/s |",
      "| -------------- | ---: |",
      "| ternary_matmul | 52.1 |",
      "| \u00b5              |    7 |",
    ].join("\n"),
  );
});

test("formatTable: a row with too few cells is refused", () => {
  expect(() => formatTable(["a", "b"], [["1"]])).toThrow("want 2 cells");
});

test("describeMachine: tells processor, level, threads and versions", () => {
  const machine = describeMachine(3);
  expect(machine.cpu).not.toBe("");
  expect(machine.processors).toBeGreaterThan(0);
  expect(machine.threads).toBe(3);
  expect(machine.bun).toBe(Bun.version);
  expect(machine.version).toMatch(/^\d+\.\d+\.\d+/);
  if (machine.commit !== null) expect(machine.commit).toMatch(/^[0-9a-f]{7,}$/);
  const line = formatMachine(machine);
  for (const part of [machine.cpu, machine.isa, machine.version]) expect(line).toContain(part);
});

test("formatMachine: an installed package has no commit to name", () => {
  const line = formatMachine({ ...describeMachine(1), version: "1.2.3", commit: null });
  expect(line).toEndWith("bitnet-bun 1.2.3");
});

test("peakResidentBytes: memory that was touched is counted, and stays counted", () => {
  const before = peakResidentBytes();
  expect(before).toBeGreaterThan(10e6);
  // Past the peak so far by at least half of it, wherever the heap stood.
  const size = before + (64 << 20);
  new Uint8Array(size).fill(1);
  const after = peakResidentBytes();
  expect(after).toBeGreaterThan(before + (16 << 20));
  expect(peakResidentBytes()).toBeGreaterThanOrEqual(after);
});
