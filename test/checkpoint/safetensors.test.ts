/** The safetensors reader: what it finds, and every refusal by its code. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseSafetensorsMetadata, type TensorInfo } from "@huggingface/hub";
import { type Checkpoint, openCheckpoint, readTensorBytes } from "../../src/checkpoint/index.ts";
import type { ErrorCode } from "../../src/errors/index.ts";
import {
  buildSafetensors,
  type HeaderEntry,
  soundDataBytes,
  soundHeader,
  writeFolder,
} from "./build-safetensors.ts";
import { expectRefusal } from "./expect-refusal.ts";

const models = join(import.meta.dir, "../fixtures/models");
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitnet-safetensors-"));
  await writeFolder(folder, { "config.json": "{}" });
});
afterAll(() => rm(folder, { recursive: true }));

async function open(bytes: Uint8Array): Promise<Checkpoint> {
  await writeFile(join(folder, "model.safetensors"), bytes);
  return openCheckpoint(folder);
}

test("entries have dtype, shape and absolute byte range", async () => {
  const bytes = buildSafetensors(
    { __metadata__: { format: "pt" }, ...soundHeader() },
    soundDataBytes,
  );
  const { tensors } = await open(bytes);
  const start = bytes.length - soundDataBytes;
  expect(tensors.size).toBe(8);
  expect(tensors.get("layers.0.q_proj.weight")).toEqual({
    name: "layers.0.q_proj.weight",
    dtype: "U8",
    shape: [2, 8],
    file: join(folder, "model.safetensors"),
    offset: start + 64,
    bytes: 16,
  });
  expect(tensors.get("scalar")).toMatchObject({ shape: [], bytes: 8 });
  expect(tensors.get("empty")).toMatchObject({ shape: [0, 3], bytes: 0 });
});

test("names with escapes and characters beyond ASCII are read as JSON reads them", async () => {
  const entry: HeaderEntry = { dtype: "U8", shape: [1], data_offsets: [0, 1] };
  for (const name of ['q"\\/\u0007', "größe", "\u{1F43A}", "__proto__", "constructor"]) {
    const header = `{${JSON.stringify(name)}: ${JSON.stringify(entry)} }   `;
    const { tensors } = await open(buildSafetensors(header, 1));
    expect([...tensors.keys()]).toEqual([name]);
  }
});

test("all fixture models read as the hub's own parser reads them", async () => {
  for (const model of ["bitnet-2b4t-packed", "llama3-8b-1.58", "1bitllm-3b"]) {
    const ours = await openCheckpoint(join(models, model));
    const theirs = await parseSafetensorsMetadata({
      repo: "owner/name",
      fetch: serveFolder(join(models, model)),
    });
    const headers = theirs.sharded ? Object.values(theirs.headers) : [theirs.header];
    const listed = headers.flatMap((header) =>
      Object.entries<TensorInfo>(header).filter(([name]) => name !== "__metadata__"),
    );
    expect(listed.length).toBe(ours.tensors.size);
    for (const [name, { dtype, shape, data_offsets }] of listed) {
      const bytes = data_offsets[1] - data_offsets[0];
      expect(ours.tensors.get(name)).toMatchObject({ name, dtype, shape, bytes });
    }
  }
});

test("tensor bytes are read whole and in parts; a file that shrank is truncated", async () => {
  const bytes = buildSafetensors(soundHeader(), soundDataBytes);
  bytes.forEach((_, index) => {
    if (index >= bytes.length - soundDataBytes) bytes[index] = index & 0xff;
  });
  const { tensors } = await open(bytes);
  const entry = tensors.get("layers.0.q_proj.weight")!;
  const want = bytes.slice(entry.offset, entry.offset + 16);
  expect(await readTensorBytes(entry)).toEqual(want);
  expect(await readTensorBytes(entry, { start: 4, end: 9 })).toEqual(want.slice(4, 9));
  const outside = readTensorBytes(entry, { start: 4, end: 17 });
  await expectRefusal(outside, "checkpoint/out-of-range", entry.file);
  await writeFile(entry.file, bytes.subarray(0, entry.offset + 10));
  await expectRefusal(readTensorBytes(entry), "checkpoint/truncated", entry.file);
});

const one = (parts: Partial<Record<keyof HeaderEntry, unknown>>): Record<string, unknown> => ({
  a: { dtype: "U8", shape: [4], data_offsets: [0, 4], ...parts },
});
const two = (begin: number, end: number): Record<string, unknown> => ({
  ...one({}),
  b: { dtype: "U8", shape: [end - begin], data_offsets: [begin, end] },
});
const entryText = '{"dtype":"U8","shape":[4],"data_offsets":[0,4]}';
const many = Array.from(
  { length: 262_145 },
  (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`,
);

const refusals: [string, ErrorCode, Uint8Array][] = [
  ["an empty file", "checkpoint/truncated", new Uint8Array(0)],
  ["seven bytes", "checkpoint/truncated", new Uint8Array(7)],
  ["a header of 2^60 bytes", "checkpoint/header-too-large", buildSafetensors("{}", 0, 2n ** 60n)],
  [
    "a header of 100 MB and one",
    "checkpoint/header-too-large",
    buildSafetensors("{}", 0, 100_000_001n),
  ],
  ["a header longer than the file", "checkpoint/truncated", buildSafetensors("{}", 0, 99n)],
  ["no header", "checkpoint/broken-header", buildSafetensors("", 0)],
  ["a header that is no object", "checkpoint/broken-header", buildSafetensors("[]", 0)],
  ["text after the header", "checkpoint/broken-header", buildSafetensors("{} x", 0)],
  ["an unfinished header", "checkpoint/broken-header", buildSafetensors('{"a":', 0)],
  ["an unfinished name", "checkpoint/broken-header", buildSafetensors('{"a', 0)],
  ["a bad escape", "checkpoint/broken-header", buildSafetensors(`{"\\q":${entryText}}`, 4)],
  [
    "a name that is no UTF-8",
    "checkpoint/broken-utf8",
    buildSafetensors(Buffer.concat([Buffer.from('{"'), Buffer.of(0xff), Buffer.from('":1}')]), 0),
  ],
  [
    "a name of 100,000 bytes",
    "checkpoint/string-too-long",
    buildSafetensors(`{"${"a".repeat(100_000)}":${entryText}}`, 4),
  ],
  ["an unknown field", "checkpoint/broken-header", buildSafetensors({ a: { dtypes: "U8" } }, 0)],
  [
    "a field twice",
    "checkpoint/broken-header",
    buildSafetensors('{"a":{"dtype":"U8","dtype":"U8"}}', 0),
  ],
  ["a missing field", "checkpoint/broken-header", buildSafetensors({ a: { dtype: "U8" } }, 0)],
  ["one offset", "checkpoint/broken-header", buildSafetensors(one({ data_offsets: [0] }), 4)],
  ["a negative dimension", "checkpoint/broken-header", buildSafetensors(one({ shape: [-4] }), 4)],
  ["a fraction", "checkpoint/broken-header", buildSafetensors(one({ shape: [4.5] }), 4)],
  ["an unknown dtype", "checkpoint/unknown-dtype", buildSafetensors(one({ dtype: "F8_E4M3" }), 4)],
  [
    "too few bytes for the shape",
    "checkpoint/shape-mismatch",
    buildSafetensors(one({ shape: [5] }), 4),
  ],
  [
    "a product past 2^53",
    "checkpoint/size-overflow",
    buildSafetensors(one({ shape: [2 ** 40, 2 ** 40] }), 4),
  ],
  [
    "a product past 2^53 beside a zero",
    "checkpoint/size-overflow",
    buildSafetensors(one({ shape: [0, 2 ** 40, 2 ** 40] }), 4),
  ],
  [
    "a number of 30 digits",
    "checkpoint/size-overflow",
    buildSafetensors('{"a":{"shape":[123456789012345678901234567890]}}', 0),
  ],
  [
    "10^6 dimensions",
    "checkpoint/too-many-dimensions",
    buildSafetensors(one({ shape: new Array(1_000_000).fill(1) }), 4),
  ],
  ["262,145 tensors", "checkpoint/too-many-tensors", buildSafetensors(`{${many.join(",")}}`, 0)],
  [
    "a tensor twice",
    "checkpoint/duplicate-tensor",
    buildSafetensors(`{"a":${entryText},"a":${entryText}}`, 4),
  ],
  [
    "metadata twice",
    "checkpoint/duplicate-key",
    buildSafetensors('{"__metadata__":{},"__metadata__":{}}', 0),
  ],
  [
    "a metadata key twice",
    "checkpoint/duplicate-key",
    buildSafetensors('{"__metadata__":{"a":"1","a":"2"}}', 0),
  ],
  [
    "metadata that is no text",
    "checkpoint/broken-header",
    buildSafetensors('{"__metadata__":{"a":1}}', 0),
  ],
  [
    "offsets in reverse",
    "checkpoint/out-of-range",
    buildSafetensors(one({ data_offsets: [4, 0] }), 4),
  ],
  ["overlapping tensors", "checkpoint/overlap", buildSafetensors(two(2, 6), 6)],
  ["a hole", "checkpoint/gap", buildSafetensors(two(6, 8), 8)],
  ["data cut short", "checkpoint/truncated", buildSafetensors(two(4, 8), 7)],
  [
    "a range beyond the file",
    "checkpoint/out-of-range",
    buildSafetensors(two(2 ** 40, 2 ** 40 + 4), 8),
  ],
  ["bytes after the last tensor", "checkpoint/trailing-bytes", buildSafetensors(two(4, 8), 9)],
];

describe("refuses", () => {
  for (const [what, code, bytes] of refusals) {
    test(`${what}: ${code}`, async () => {
      await expectRefusal(open(bytes), code, "model.safetensors");
    });
  }
});

/** A fetch that serves a folder as the hub serves a repository, byte ranges included. */
function serveFolder(root: string): typeof fetch {
  const serve = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    const name = url.pathname.split("/").at(-1) ?? "";
    const file = Bun.file(join(root, name));
    if (!(await file.exists())) return new Response("", { status: 404 });
    const range = /bytes=(\d+)-(\d+)/.exec(new Headers(init?.headers).get("range") ?? "");
    const begin = Number(range?.[1] ?? 0);
    const end = Math.min(Number(range?.[2] ?? file.size - 1) + 1, file.size);
    return new Response(await file.slice(begin, end).bytes(), {
      status: range === null ? 200 : 206,
      headers: {
        etag: '"1"',
        "content-length": String(end - begin),
        "content-range": `bytes ${begin}-${end - 1}/${file.size}`,
      },
    });
  };
  return Object.assign(serve, { preconnect: fetch.preconnect });
}
