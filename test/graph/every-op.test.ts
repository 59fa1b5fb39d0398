/** What holds for every op alike: same bits everywhere, any number of rows, none included. */
import { describe, expect, test } from "bun:test";
import type { Graph } from "../../src/graph/index.ts";
import { Op } from "../../src/native/index.ts";
import { allowAlive } from "../leaks.ts";
import { everyOp, rowsMax } from "./every-op.ts";
import { everywhere, type Results } from "./everywhere.ts";

const cases = everyOp();
// A constant of theirs is as long-lived as this file.
allowAlive("other");

/** Bytes that are not as the harness filled them before the run. */
function touched(results: Results): number {
  const bytes = Object.values(results).flatMap((result) => [...result]);
  return bytes.filter((byte) => byte !== 0x55).length;
}

/** Their work is a whole matrix, whatever the rows are. */
const rowless = [
  "unpack_ternary",
  "pack_tile2",
  "pack_tile3",
  "pack_ternary",
  "quantize_nibbles",
  "unpack_packed",
  "scatter_add",
  "place",
  "sort",
  "random_uniform",
  "random_normal",
];

/** Largest difference between levels, for ops that may fuse multiply and add. */
const betweenLevels: Record<string, number> = {
  matmul: 1e-5,
  cholesky: 1e-5,
  lu: 1e-5,
  solve: 1e-5,
  triangular_solve: 1e-3,
  qr: 1e-5,
  svd: 1e-4,
  eigh: 1e-4,
};

/** State is read, or changed in part, as is the ring of tokens: what it held before shows. */
function showsOldContents(op: string, { storages }: Graph): boolean {
  return op === "emit" || [...storages.values()].some(({ kind }) => kind === "state");
}

describe("every op", () => {
  test("has a case", () => {
    expect([...cases.keys()].sort()).toEqual(Object.keys(Op).sort() as never);
  });

  for (const [op, { graph, inputs }] of cases) {
    test(`${op}: same bits on all levels and threads, and nothing is touched without rows`, async () => {
      const states: Record<string, ArrayBufferView> = {};
      if (op === "sample") states.lengths = new Int32Array(rowsMax);
      const options = { inputs, states, betweenLevels: betweenLevels[op] };
      const all = await everywhere(graph, options);
      expect(touched(all)).toBeGreaterThan(0);
      if (!showsOldContents(op, graph)) {
        // Memory of results holds anything before: every byte is written.
        expect(await everywhere(graph, { ...options, fill: 0xaa })).toEqual(all);
      }
      const some = await everywhere(graph, { ...options, syms: { rows: 1 } });
      if (rowless.includes(op)) return;
      const none = await everywhere(graph, { ...options, syms: { rows: 0 } });
      const kept = op === "sample" ? 4 * rowsMax : 0;
      expect(touched(none)).toBe(kept);
      expect(touched(some)).toBeLessThan(touched(all));
    });
  }
});
