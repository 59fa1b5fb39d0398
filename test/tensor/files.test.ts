/** .npy and safetensors: what is written is read, bytes as NumPy writes them, damage refused. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BitNetError, type ErrorCode } from "../../src/errors/index.ts";
import {
  loadNpy,
  loadSafetensors,
  saveNpy,
  saveSafetensors,
  tensor,
} from "../../src/tensor/index.ts";
import { anyDType, Dice, plain, someTensor } from "./plain.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tensor-files-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function refuses(code: ErrorCode, action: Promise<unknown>): Promise<void> {
  const error = await action.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BitNetError);
  expect((error as BitNetError).code).toBe(code);
}

/** A file as NumPy's format describes it. */
async function npy(header: string, data: ArrayBufferView, version = 1): Promise<string> {
  const path = join(folder, "case.npy");
  const text = `${header}\n`;
  const front = Buffer.alloc(version === 1 ? 10 : 12);
  front.write("\x93NUMPY", "latin1");
  front[6] = version;
  if (version === 1) front.writeUInt16LE(text.length, 8);
  else front.writeUInt32LE(text.length, 8);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  await Bun.write(path, Buffer.concat([front, Buffer.from(text), bytes]));
  return path;
}

const six = Float32Array.of(1, 2, 3, 4, 5, 6);

describe(".npy", () => {
  test("every dtype but bf16 and every view comes back as it was", async () => {
    const dice = new Dice(31);
    const path = join(folder, "all.npy");
    for (const dtype of anyDType) {
      if (dtype === "bf16") continue;
      for (const shape of [[], [3], [0, 2], [2, 3, 4]]) {
        const x = someTensor(dice, shape, dtype);
        await saveNpy(path, x);
        const again = await loadNpy(path);
        expect(again.dtype).toBe(dtype);
        expect(plain(again)).toEqual(plain(x));
      }
    }
    await refuses("checkpoint/unknown-dtype", saveNpy(path, tensor([1], { dtype: "bf16" })));
    await refuses("checkpoint/unwritable", saveNpy(join(folder, "no", "x.npy"), tensor([1])));
    expect((await readdir(folder)).filter((name) => name.endsWith(".partial"))).toEqual([]);
  });

  test("the bytes are those of NumPy's version 1.0", async () => {
    const path = join(folder, "bytes.npy");
    await saveNpy(path, tensor(six, { shape: [2, 3] }));
    const bytes = Buffer.from(await Bun.file(path).arrayBuffer());
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    expect(bytes.toString("latin1", 0, 10)).toBe("\x93NUMPY\x01\x00\x76\x00");
    expect(bytes.toString("latin1", 10, 128)).toBe(`${header.padEnd(117)}\n`);
    expect(bytes.subarray(128)).toEqual(Buffer.from(six.buffer));
  });

  test("Fortran order, version 2, other orders of keys and wider integers are read", async () => {
    const fortran = "{'shape': (2, 3), 'fortran_order': True, 'descr': '<f4'}";
    expect((await loadNpy(await npy(fortran, six, 2))).toArray()).toEqual([
      [1, 3, 5],
      [2, 4, 6],
    ]);
    const long = "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }";
    const whole = await loadNpy(await npy(long, BigInt64Array.of(-5n, 7n)));
    expect([whole.dtype, ...plain(whole).data]).toEqual(["i32", -5, 7]);
    const short = "{'descr': '<i2', 'fortran_order': False, 'shape': (), }";
    expect((await loadNpy(await npy(short, Int16Array.of(-3)))).item()).toBe(-3);
    await refuses("tensor/bad-dtype", loadNpy(await npy(long, BigInt64Array.of(1n << 31n, 0n))));
  });

  const floats = (shape: string) => `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  const damaged: [ErrorCode, string][] = [
    ["checkpoint/truncated", floats("(7,)")],
    ["checkpoint/trailing-bytes", floats("(5,)")],
    ["checkpoint/size-overflow", floats("(4294967296, 4294967296)")],
    ["checkpoint/broken-header", floats("(6,) x")],
    ["checkpoint/broken-header", "{'descr': '<f4', 'shape': (6,), }"],
    ["checkpoint/broken-header", "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False}"],
    ["checkpoint/broken-header", floats("'6'")],
    ["checkpoint/broken-header", floats("(6 6)")],
    ["checkpoint/broken-header", "descr"],
    ["checkpoint/broken-header", ""],
    ["checkpoint/big-endian", floats("(6,)").replace("<", ">")],
    ["checkpoint/unknown-dtype", floats("(6,)").replace("<f4", "<c8")],
    ["tensor/bad-shape", floats("(1, 1, 1, 1, 1, 1, 6)")],
  ];
  for (const [code, header] of damaged) {
    test(`${header} is refused: ${code}`, async () => {
      await refuses(code, loadNpy(await npy(header, six)));
    });
  }

  test("what is no .npy file, and every cut of one, is refused", async () => {
    const path = await npy(floats("(6,)"), six);
    const bytes = new Uint8Array(await Bun.file(path).arrayBuffer());
    for (const length of [0, 5, 9, 11, 40, bytes.length - 1]) {
      await Bun.write(path, bytes.subarray(0, length));
      await refuses("checkpoint/truncated", loadNpy(path));
    }
    await Bun.write(path, Buffer.from("PK\x03\x04 is what .npz begins with"));
    await refuses("checkpoint/broken-header", loadNpy(path));
    await refuses("checkpoint/unsupported-version", loadNpy(await npy(floats("(6,)"), six, 4)));
    await refuses("checkpoint/not-found", loadNpy(join(folder, "none.npy")));
  });
});

describe("safetensors", () => {
  test("tensors of every dtype come back by name, all or those wanted", async () => {
    const dice = new Dice(32);
    const path = join(folder, "all.safetensors");
    const shapes = [[2, 3], [], [0], [4, 1, 2], [5], [3], [1, 2], [6]];
    const tensors = Object.fromEntries(
      anyDType.map((dtype, at) => [`layer.${dtype}`, someTensor(dice, shapes[at]!, dtype)]),
    );
    await saveSafetensors(path, tensors, { metadata: { made: "here" } });
    const again = await loadSafetensors(path);
    expect(Object.keys(again).sort()).toEqual(Object.keys(tensors).sort());
    for (const [name, x] of Object.entries(tensors)) {
      expect(again[name]!.dtype).toBe(x.dtype);
      expect(plain(again[name]!)).toEqual(plain(x));
    }
    const one = await loadSafetensors(path, { names: ["layer.i8"] });
    expect(Object.keys(one)).toEqual(["layer.i8"]);
    await refuses("checkpoint/missing-tensor", loadSafetensors(path, { names: ["x"] }));
    const bytes = new Uint8Array(await Bun.file(path).arrayBuffer());
    await Bun.write(path, bytes.subarray(0, bytes.length - 1));
    await refuses("checkpoint/truncated", loadSafetensors(path));
  });
});
