/** Conversion of pieces as they come: elements cut apart, limits, reading ahead, ends. */
import { describe, expect, test } from "bun:test";
import { convert, convertStream, type PlainDType } from "../../src/memory/index.ts";
import { Random } from "../checkpoint/random.ts";
import { normals } from "../graph/reference.ts";
import { encode, plainDTypes } from "./plain-reference.ts";

/** The bytes in pieces of random sizes, empty ones among them. */
function* pieces(bytes: Uint8Array, seed: number): Generator<Uint8Array> {
  const random = new Random(seed);
  for (let at = 0; at < bytes.byteLength; ) {
    const size = random.below(97);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function collect(stream: AsyncIterable<ArrayBufferView>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const { buffer, byteOffset, byteLength } of stream) {
    parts.push(new Uint8Array(buffer, byteOffset, byteLength).slice());
  }
  return new Uint8Array(Buffer.concat(parts));
}

describe("convertStream", () => {
  test("every pair: pieces of any sizes give what the whole gives", async () => {
    for (const from of plainDTypes) {
      // Odd, but for i4, whose bytes hold pairs.
      const bytes = encode(from, [...normals(from === "i4" ? 1000 : 1001, 8, 40)]);
      for (const to of plainDTypes) {
        const whole = (await convert(bytes, { from, to })).data;
        for (const preset of ["balanced", "low-memory"] as const) {
          const stream = convertStream(pieces(bytes, 5), { from, to, preset, memoryLimit: 256 });
          const got = await collect(stream);
          expect(got).toEqual(new Uint8Array(whole.buffer, 0, whole.byteLength));
          expect(stream.statistics.elements).toBe(from === "i4" ? 1000 : 1001);
        }
      }
    }
  });

  test("results take no more than the limit at a time", async () => {
    const stream = convertStream([new Float32Array(10_000)], {
      from: "f32",
      to: "f16",
      memoryLimit: 4096,
    });
    const sizes: number[] = [];
    for await (const { byteLength } of stream) sizes.push(byteLength);
    expect(Math.max(...sizes)).toBe(4096);
    expect(sizes.reduce((a, b) => a + b)).toBe(20_000);
  });

  test("the next piece is asked for before this one's results are taken, unless memory is low", async () => {
    for (const [preset, ahead] of [
      ["balanced", 2],
      ["low-memory", 1],
    ] as const) {
      let asked = 0;
      const source = async function* () {
        while (asked < 5) {
          asked += 1;
          yield new Float32Array(4);
        }
      };
      const stream = convertStream(source(), { from: "f32", to: "i8", preset });
      for await (const part of stream) {
        expect(part.length).toBe(4);
        expect(asked).toBe(ahead);
        break;
      }
    }
  });

  test("a reader that leaves ends the source", async () => {
    let ended = false;
    const source = function* () {
      try {
        while (true) yield new Float32Array(4);
      } finally {
        ended = true;
      }
    };
    for await (const _ of convertStream(source(), { from: "f32", to: "i8" })) break;
    expect(ended).toBe(true);
  });

  test("scales, errors and progress are those of the whole", async () => {
    const x = normals(5000, 4);
    const seen: number[] = [];
    const kind = { from: "f32", to: "i8", scale: 0.02, preset: "high-precision" } as const;
    const stream = convertStream([x.subarray(0, 1024), x.subarray(1024)], {
      ...kind,
      onProgress: (done) => seen.push(done),
    });
    await collect(stream);
    const whole = await convert(x, kind);
    expect(stream.statistics.loss).toEqual(whole.statistics.loss);
    expect(seen).toEqual([1024, 5000]);
  });

  test("a file's stream is a source", async () => {
    const path = new URL(import.meta.url).pathname;
    const bytes = new Uint8Array(await Bun.file(path).arrayBuffer());
    const floats = await collect(convertStream(Bun.file(path).stream(), { from: "u8", to: "f32" }));
    expect([...new Float32Array(floats.buffer)]).toEqual([...bytes]);
  });

  test("refuses an end within an element, a limit of nothing, and passes on failures", async () => {
    const cut = convertStream([new Uint8Array(7)], { from: "f32", to: "f16" });
    await expect(collect(cut)).rejects.toMatchObject({ code: "memory/wrong-size" });
    const none = { from: "f32", to: "f16" as PlainDType, memoryLimit: 3 } as const;
    expect(() => convertStream([], none)).toThrow("memoryLimit: want bytes of two elements");
    const failing = async function* () {
      yield new Float32Array(4);
      throw new Error("the disk is gone");
    };
    const stream = convertStream(failing(), { from: "f32", to: "f16" });
    await expect(collect(stream)).rejects.toThrow("the disk is gone");
    const controller = new AbortController();
    controller.abort();
    const aborted = convertStream([new Float32Array(4)], {
      from: "f32",
      to: "f16",
      signal: controller.signal,
    });
    await expect(collect(aborted)).rejects.toMatchObject({ code: "native/aborted" });
  });
});
