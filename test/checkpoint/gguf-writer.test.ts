/** What is written is read back bit for bit, and what cannot be written leaves nothing behind. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type GgufField,
  openCheckpoint,
  readTensorBytes,
  type TensorSource,
  writeGguf,
} from "../../src/checkpoint/index.ts";
import { expectRefusal } from "./expect-refusal.ts";

const folder = mkdtempSync(join(tmpdir(), "gguf-writer-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "model.gguf");
const noFields = new Map<string, GgufField>();

function tensor(name: string, part: Partial<TensorSource> & { bytes: number[] }): TensorSource {
  const { bytes, dtype = "F32", shape = [bytes.length] } = part;
  return { name, dtype, shape, pieces: () => [Uint8Array.from(bytes)] };
}

const bytesOf = (count: number, first = 0): number[] =>
  Array.from({ length: count }, (_, index) => (first + index * 7) % 256);

describe("writeGguf", () => {
  test("metadata of every kind comes back as it was", async () => {
    const long = "\u00e4\u{1f40b}".repeat(40_000);
    const metadata = new Map<string, GgufField>([
      ["a.u32", { type: "u32", value: 0xffff_ffff }],
      ["a.i32", { type: "i32", value: -5 }],
      ["a.f32", { type: "f32", value: 0.1 }],
      ["a.u64", { type: "u64", value: 2n ** 63n }],
      ["a.yes", { type: "bool", value: true }],
      ["a.text", { type: "string", value: long }],
      ["a.texts", { type: "strings", value: ["", "x y", long] }],
      ["a.i8s", { type: "numbers", value: Int8Array.of(-1, 2) }],
      ["a.u16s", { type: "numbers", value: Uint16Array.of(65_535) }],
      ["a.i32s", { type: "numbers", value: Int32Array.of(-7, 8) }],
      ["a.f32s", { type: "numbers", value: Float32Array.of(1.5, -0) }],
      ["a.i64s", { type: "numbers", value: BigInt64Array.of(-3n) }],
      ["a.f64s", { type: "numbers", value: Float64Array.of(Math.PI) }],
    ]);
    await writeGguf(path, { metadata, tensors: [] });
    const read = await openCheckpoint(path);
    if (read.format !== "gguf") throw new Error(read.format);
    for (const [key, { value }] of metadata) {
      const want = key === "a.f32" ? Math.fround(0.1) : value;
      expect(read.metadata.get(key)).toEqual(want as never);
    }
    expect(read.metadata.size).toBe(metadata.size);
  });

  test("tensors of every type and odd sizes come back bit for bit, in pieces or whole", async () => {
    const sizes = { F32: [5, 4], F16: [3, 2], TQ1_0: [512, 54 / 256], TQ2_0: [256, 66 / 256] };
    const tensors: TensorSource[] = Object.entries(sizes).map(([dtype, [values, size]], index) =>
      tensor(`blk.${index}`, {
        dtype: dtype as "F32",
        shape: dtype.startsWith("TQ") ? [values! / 256, 256] : [values!, 1],
        bytes: bytesOf(values! * size!, index),
      }),
    );
    const i2s = bytesOf(2 * 32 + 32, 99);
    tensors.push({
      name: "in pieces",
      dtype: "I2_S",
      shape: [8, 32],
      *pieces() {
        for (const byte of i2s) yield Uint8Array.of(byte);
      },
    });
    const seen: number[] = [];
    const onProgress = (done: number, total: number): void => {
      seen.push(total - done);
    };
    await writeGguf(path, { metadata: noFields, tensors }, { onProgress });
    expect(seen.at(-1)).toBe(0);
    const read = await openCheckpoint(path);
    expect(read.tensors.size).toBe(tensors.length);
    for (const { name, dtype, shape, pieces } of tensors) {
      const entry = read.tensors.get(name)!;
      expect({ dtype: entry.dtype, shape: entry.shape }).toEqual({ dtype, shape: [...shape] });
      const want: number[] = [];
      for await (const piece of pieces()) want.push(...piece);
      expect([...(await readTensorBytes(entry))]).toEqual(want);
    }
  });

  test("refuses what the format cannot hold, and leaves nothing behind", async () => {
    const target = join(folder, "refused.gguf");
    const write = (...tensors: TensorSource[]) =>
      writeGguf(target, { metadata: noFields, tensors });
    const f32 = (name: string, shape: number[]): TensorSource =>
      tensor(name, { dtype: "F32", shape, bytes: bytesOf(4) });
    const cases = [
      ["duplicate-tensor", [f32("x", [1]), f32("x", [1])]],
      ["shape-mismatch", [f32("x", [2])]],
      ["shape-mismatch", [tensor("x", { dtype: "TQ2_0", shape: [2, 128], bytes: [] })]],
      ["unknown-dtype", [tensor("x", { dtype: "BOOL", bytes: [1] })]],
      ["too-many-dimensions", [f32("x", [1, 1, 1, 1, 1])]],
      ["string-too-long", [f32("x".repeat(64), [1])]],
    ] as const;
    for (const [code, tensors] of cases) {
      await expectRefusal(write(...tensors), `checkpoint/${code}`, target);
    }
    const absent = join(folder, "no-such-folder", "x.gguf");
    const nowhere = writeGguf(absent, { metadata: noFields, tensors: [] });
    await expectRefusal(nowhere, "checkpoint/unwritable", absent);
    expect(readdirSync(folder).filter((name) => name !== "model.gguf")).toEqual([]);
  });

  test("a file that is there stays as it was when the writing ends early", async () => {
    const stop = new AbortController();
    const before = await Bun.file(path).bytes();
    const source: TensorSource = {
      name: "x",
      dtype: "F32",
      shape: [1 << 20],
      *pieces() {
        yield new Uint8Array(1 << 10);
        stop.abort(new Error("enough"));
        yield new Uint8Array(1 << 10);
      },
    };
    const content = { metadata: noFields, tensors: [source] };
    const outcome = writeGguf(path, content, { signal: stop.signal });
    expect(outcome).rejects.toThrow("enough");
    await outcome.catch(() => {});
    expect(await Bun.file(path).bytes()).toEqual(before);
    expect(readdirSync(folder)).toEqual(["model.gguf"]);
  });
});
