/**
 * Memory of results is handed out as it lies. Here every block is filled with a pattern first
 * (debug mode), so that whatever is read before it was written shows.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Region } from "../../src/native/index.ts";
import { concat, full, ones, pad, scatter, tensor, zeros } from "../../src/tensor/index.ts";

const files = ["joining", "gathering", "movement", "pending", "gradients", "einsum", "compile"];

describe("memory that is not zeroed", () => {
  test("changes nothing in the tests of tensors when all of it holds a pattern", () => {
    const { exitCode, stderr } = Bun.spawnSync(
      [process.execPath, "test", ...files.map((file) => join(import.meta.dir, `${file}.test.ts`))],
      { env: { ...process.env, BITNET_MEMORY_DEBUG: "1" }, stdout: "ignore", stderr: "pipe" },
    );
    expect(exitCode === 0 ? "" : stderr.toString()).toBe("");
  }, 60_000);

  test("is only given where it is asked for", () => {
    for (const size of [100, 3 << 20, 70 << 20]) {
      const used = Region.create(size, { uninitialised: true });
      used.bytes().fill(7);
      used[Symbol.dispose]();
      using zeroed = Region.create(size);
      expect(zeroed.bytes().every((byte) => byte === 0)).toBe(true);
    }
  });

  test("is reused at once when it is large, so that no page is made twice", () => {
    const size = 80 << 20;
    const first = Region.create(size, { uninitialised: true });
    first.bytes(size - 8).fill(7);
    first[Symbol.dispose]();
    using second = Region.create(size, { uninitialised: true });
    expect([...second.bytes(size - 8)]).toEqual(new Array(8).fill(7));
  });

  test("is never seen through tensors that are empty, padded, filled or failed", () => {
    for (let round = 0; round < 50; round += 1) {
      // What the next results are cut from held these.
      full([1000], 7.5).add(1).data();
      expect(zeros([0, 3]).add(1).data().length).toBe(0);
      expect(concat([zeros([0]), zeros([0])]).toArray()).toEqual([]);
      expect(zeros([3]).data()).toEqual(new Float32Array(3));
      expect(pad(ones([1]), [[1, 2]]).toArray()).toEqual([0, 1, 0, 0]);
      // One row of 3 bytes: what lies behind it in its 64 bytes belongs to nobody.
      expect(tensor([1, 2, 3], { dtype: "u8" }).add(1).data().buffer.byteLength).toBe(3);
      const bad = scatter(zeros([4]), {
        axis: 0,
        index: tensor([9], { dtype: "i32" }),
        source: ones([1]),
      });
      expect(() => bad.data()).toThrow("refused its data");
      expect(() => bad.data()).toThrow("refused its data");
      expect(Bun.inspect(bad)).toContain("not computed yet");
    }
  });
});
