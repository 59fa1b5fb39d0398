/** The GGUF reader: every value and tensor type, and every refusal by its code. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GgufCheckpoint, openCheckpoint } from "../../src/checkpoint/index.ts";
import type { ErrorCode } from "../../src/errors/index.ts";
import { buildGguf, everythingSpec, type GgufSpec, zeroData } from "./build-gguf.ts";
import { expectRefusal } from "./expect-refusal.ts";

const models = join(import.meta.dir, "../fixtures/models/gguf");
let folder = "";
let path = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitnet-gguf-"));
  path = join(folder, "case.gguf");
});
afterAll(() => rm(folder, { recursive: true }));

async function open(spec: GgufSpec): Promise<GgufCheckpoint> {
  await writeFile(path, buildGguf(spec).bytes);
  return openGguf(path);
}

async function openGguf(file: string, i2sLayout?: 64 | 128): Promise<GgufCheckpoint> {
  const checkpoint = await openCheckpoint(file, i2sLayout === undefined ? {} : { i2sLayout });
  if (checkpoint.format !== "gguf") throw new Error(`opened as ${checkpoint.format}`);
  return checkpoint;
}

describe("metadata", () => {
  test("has every value type, integers exact beyond 2^53", async () => {
    const { metadata } = await open(everythingSpec());
    expect(Object.fromEntries(metadata)).toEqual({
      "general.architecture": "bitnet",
      "general.alignment": 32,
      "test.u8": 200,
      "test.i8": -100,
      "test.u16": 60_000,
      "test.i16": -30_000,
      "test.i32": -2_000_000_000,
      "test.f32": 1.5,
      "test.bool": true,
      "test.u64": 2n ** 53n + 1n,
      "test.i64": -5,
      "test.f64": 1e-5,
      "test.texts": ["a", "", "\u2581wolf"],
      "test.ints": Int32Array.of(1, -2, 3),
      "test.bools": Uint8Array.of(1, 0),
      "test.nested": { arrays: [Uint32Array.of(7)] },
    });
  });

  test("is read through windows: a vocabulary of 3 MB comes whole", async () => {
    const texts = Array.from({ length: 200_000 }, (_, index) => `token${index}`);
    const scores = texts.map((_, index) => index / 2);
    const { metadata } = await open({
      keys: [
        ["tokenizer.ggml.tokens", { type: 9, of: 8, values: texts }],
        ["tokenizer.ggml.scores", { type: 9, of: 6, values: scores }],
      ],
    });
    expect(metadata.get("tokenizer.ggml.tokens")).toEqual(texts);
    expect(metadata.get("tokenizer.ggml.scores")).toEqual(Float32Array.from(scores));
  });
});

describe("tensors", () => {
  test("have their dimensions outermost first and absolute offsets", async () => {
    const spec: GgufSpec = {
      alignment: 64,
      keys: [["general.alignment", { type: 4, value: 64 }]],
      tensors: [
        { name: "norm", dims: [3], type: 0, data: zeroData(0, 3) },
        { name: "attn_q", dims: [256, 3], type: 35, data: zeroData(35, 768) },
        { name: "scalar", dims: [], type: 0, data: zeroData(0, 1) },
      ],
    };
    const { dataStart } = buildGguf(spec);
    const { tensors } = await open(spec);
    const common = { file: path };
    expect([...tensors.values()]).toEqual([
      { ...common, name: "norm", dtype: "F32", shape: [3], offset: dataStart, bytes: 12 },
      {
        ...common,
        name: "attn_q",
        dtype: "TQ2_0",
        shape: [3, 256],
        offset: dataStart + 64,
        bytes: 198,
      },
      { ...common, name: "scalar", dtype: "F32", shape: [], offset: dataStart + 320, bytes: 4 },
    ]);
  });

  test("are of ten types, version 2 as well as 3", async () => {
    const { tensors } = await open({ ...everythingSpec(), version: 2 });
    expect([...tensors.values()].map(({ dtype, bytes }) => `${dtype} ${bytes}`)).toEqual([
      "F32 2048",
      "F16 1024",
      "Q4_0 288",
      "Q8_0 544",
      "Q4_K 288",
      "Q6_K 420",
      "BF16 1024",
      "TQ1_0 108",
      "TQ2_0 132",
      "I2_S 160",
    ]);
  });

  test("of type I2_S are found, and their layout is what the caller says", async () => {
    const file = join(models, "bitnet-2b4t-i2_s.gguf");
    const { tensors, i2sLayout } = await openGguf(file);
    const entry = tensors.get("blk.0.ffn_down.weight");
    expect(entry).toMatchObject({ dtype: "I2_S", shape: [256, 512], bytes: 256 * 128 + 32 });
    expect(i2sLayout).toBe(128);
    expect((await openGguf(file, 64)).i2sLayout).toBe(64);
  });
});

describe("a path", () => {
  test("may be a folder that holds one GGUF file", async () => {
    const one = await mkdtemp(join(folder, "one-"));
    await writeFile(join(one, "model.gguf"), buildGguf(everythingSpec()).bytes);
    expect((await openCheckpoint(one)).path).toBe(join(one, "model.gguf"));
    await writeFile(join(one, "second.gguf"), "");
    const error = await expectRefusal(openCheckpoint(one), "checkpoint/not-a-model", one);
    expect(error.message).toContain("model.gguf, second.gguf");
  });

  test("to a directory named like a file is refused", async () => {
    const named = join(folder, "folder.gguf");
    await mkdir(named);
    await expectRefusal(openCheckpoint(named), "checkpoint/not-a-model", named);
  });
});

const f32 = (name: string, parts: object = {}) => ({
  name,
  dims: [8],
  type: 0,
  data: zeroData(0, 8),
  ...parts,
});
const key = (type: number, value: number | bigint | Uint8Array): GgufSpec["keys"] => [
  ["k", { type, value }],
];
const array = (of: number, count: bigint): GgufSpec["keys"] => [
  ["k", { type: 9, of, values: [], count }],
];

const refusals: [string, ErrorCode, GgufSpec][] = [
  ["another magic", "checkpoint/not-a-model", { magic: 0x12345678 }],
  ["version 1", "checkpoint/unsupported-version", { version: 1 }],
  ["version 4", "checkpoint/unsupported-version", { version: 4 }],
  ["big-endian byte order", "checkpoint/big-endian", { version: 0x03000000 }],
  ["2^60 tensors", "checkpoint/too-many-tensors", { tensorCount: 2n ** 60n }],
  ["more tensors than bytes", "checkpoint/truncated", { tensorCount: 200_000n }],
  ["2^60 keys", "checkpoint/too-many-keys", { keyCount: 2n ** 60n }],
  ["more keys than bytes", "checkpoint/truncated", { keyCount: 60_000n }],
  ["a key twice", "checkpoint/duplicate-key", { keys: [...key(0, 1)!, ...key(0, 1)!] }],
  ["an empty key", "checkpoint/bad-metadata", { keys: [["", { type: 0, value: 1 }]] }],
  ["a boolean of 2", "checkpoint/bad-metadata", { keys: key(7, 2) }],
  ["value type 13", "checkpoint/unknown-value-type", { keys: key(13, 1) }],
  ["an array of type 13", "checkpoint/unknown-value-type", { keys: array(13, 0n) }],
  ["an array of 2^60", "checkpoint/array-too-long", { keys: array(4, 2n ** 60n) }],
  ["an array longer than the file", "checkpoint/truncated", { keys: array(12, 1_000_000n) }],
  ["2^32 - 1 texts in a short file", "checkpoint/truncated", { keys: array(8, 2n ** 32n - 1n) }],
  [
    "a text of 2^60 bytes",
    "checkpoint/string-too-long",
    {
      keys: [["k", { type: 8, raw: new Uint8Array(BigUint64Array.of(2n ** 60n).buffer) }]],
    },
  ],
  [
    "a text longer than the file",
    "checkpoint/truncated",
    {
      keys: [["k", { type: 8, raw: new Uint8Array(BigUint64Array.of(9_999n).buffer) }]],
    },
  ],
  [
    "a text that is no UTF-8",
    "checkpoint/broken-utf8",
    { keys: key(8, Uint8Array.of(0xc3, 0x28)) },
  ],
  [
    "arrays nested without end",
    "checkpoint/array-too-long",
    {
      keys: [["k", { type: 9, raw: new Uint8Array(nestedHeads(100)) }]],
    },
  ],
  [
    "an alignment of 48",
    "checkpoint/bad-alignment",
    {
      keys: [["general.alignment", { type: 4, value: 48 }]],
    },
  ],
  [
    "an alignment of 0",
    "checkpoint/bad-alignment",
    {
      keys: [["general.alignment", { type: 4, value: 0 }]],
    },
  ],
  [
    "one part of a split model",
    "checkpoint/split-file",
    {
      keys: [["split.count", { type: 2, value: 3 }]],
    },
  ],
  ["tensor type 16", "checkpoint/unknown-tensor-type", { tensors: [f32("a", { type: 16 })] }],
  [
    "10^9 dimensions",
    "checkpoint/too-many-dimensions",
    {
      tensors: [f32("a", { dims: Array(5).fill(1) })],
    },
  ],
  [
    "a product past 2^53",
    "checkpoint/size-overflow",
    {
      tensors: [f32("a", { dims: [2n ** 40n, 2n ** 40n] })],
    },
  ],
  [
    "a dimension past 2^53",
    "checkpoint/size-overflow",
    {
      tensors: [f32("a", { dims: [2n ** 63n] })],
    },
  ],
  [
    "rows that are no whole blocks",
    "checkpoint/shape-mismatch",
    {
      tensors: [f32("a", { dims: [255], type: 35 })],
    },
  ],
  [
    "I2_S of 64 values in the layout of 128",
    "checkpoint/shape-mismatch",
    {
      tensors: [f32("a", { dims: [64], type: 36 })],
    },
  ],
  ["a tensor twice", "checkpoint/duplicate-tensor", { tensors: [f32("a"), f32("a")] }],
  ["overlapping tensors", "checkpoint/overlap", { tensors: [f32("a"), f32("b", { offset: 0 })] }],
  [
    "an offset off the alignment",
    "checkpoint/misaligned",
    {
      tensors: [f32("a"), f32("b", { offset: 33 })],
    },
  ],
  [
    "an offset past the end",
    "checkpoint/out-of-range",
    {
      tensors: [f32("a"), f32("b", { offset: 2 ** 40 })],
    },
  ],
  [
    "an offset past 2^53",
    "checkpoint/out-of-range",
    {
      tensors: [f32("a", { offset: 2n ** 63n })],
    },
  ],
  [
    "a tensor larger than the file",
    "checkpoint/truncated",
    {
      tensors: [f32("a", { dims: [1_000_000] })],
    },
  ],
];

describe("refuses", () => {
  for (const [what, code, spec] of refusals) {
    test(`${what}: ${code}`, async () => {
      await expectRefusal(open(spec), code, path);
    });
  }

  test("a file cut anywhere in its header or data", async () => {
    const { bytes } = buildGguf(everythingSpec());
    for (let length = 0; length < bytes.length - 32; length += 61) {
      await writeFile(path, bytes.subarray(0, length));
      await expectRefusal(openCheckpoint(path), "checkpoint/truncated", path);
    }
  });

  test("an i2sLayout that is neither 64 nor 128", async () => {
    const options = { i2sLayout: 32 as 64 };
    await expect(openCheckpoint(path, options)).rejects.toThrow("expected 64 or 128, got 32");
  });
});

test("an aborted signal stops the opening with its reason", async () => {
  const signal = AbortSignal.abort(new Error("no longer wanted"));
  const opening = openCheckpoint(join(models, "bitnet-2b4t-tq2_0.gguf"), { signal });
  await expect(opening).rejects.toThrow("no longer wanted");
});

/** `depth` heads of arrays whose one element is an array. */
function nestedHeads(depth: number): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(depth * 12));
  for (let index = 0; index < depth; index++) {
    view.setUint32(index * 12, 9, true);
    view.setBigUint64(index * 12 + 4, 1n, true);
  }
  return view.buffer;
}
