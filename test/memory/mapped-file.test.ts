/** Files in memory: whole or refused, changed only as copies, and checked when they shrink. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MappedFile } from "../../src/memory/index.ts";

describe("a mapped file", () => {
  const folder = mkdtempSync(join(tmpdir(), "mapped-file-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const fileOf = (name: string, content: string | Uint8Array): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };

  test("shows the bytes of the file, all or a part, and none after its end", () => {
    const file = MappedFile.open(fileOf("text", "0123456789"));
    expect(file.size).toBe(10);
    file.prefetch();
    file.advise("sequential", 2, 3);
    const view = file.bytes(2, 3);
    expect(new TextDecoder().decode(view)).toBe("234");
    file[Symbol.dispose]();
    file[Symbol.dispose]();
    expect(view.length).toBe(0);
    expect(() => file.bytes()).toThrow("after its release");
  });

  test("is refused when it is missing, empty or shorter than its header says", () => {
    const path = fileOf("short", "0123456789");
    const tooShort = expect.objectContaining({ code: "memory/file-too-short" });
    expect(() => MappedFile.open(path, { size: 11 })).toThrow(tooShort);
    expect(() => MappedFile.open(fileOf("empty", ""))).toThrow(tooShort);
    for (const none of [join(folder, "none"), folder]) {
      expect(() => MappedFile.open(none)).toThrow(expect.objectContaining({ code: "native/io" }));
    }
    expect(() => MappedFile.open(path, { offset: 5, size: 6 })).toThrow(tooShort);
    expect(() => MappedFile.open(path, { offset: 10 })).toThrow(tooShort);
    using whole = MappedFile.open(path, { size: 10 });
    expect(whole.size).toBe(10);
  });

  test("can be a part, from any byte on", () => {
    const bytes = Uint8Array.from({ length: 200_000 }, (_, index) => index % 251);
    const path = fileOf("parts", bytes);
    for (const offset of [1, 65_535, 65_536, 65_537, 131_072, 199_999]) {
      using file = MappedFile.open(path, { offset });
      expect(file.size).toBe(200_000 - offset);
      expect(Buffer.from(file.bytes()).equals(bytes.subarray(offset))).toBe(true);
      file.release();
      file.prefetch();
      expect(file.region.bytes(file.regionOffset, 1)).toEqual(bytes.subarray(offset, offset + 1));
    }
    using middle = MappedFile.open(path, { offset: 100_000, size: 50_000 });
    expect(Buffer.from(middle.bytes(10, 20)).equals(bytes.subarray(100_010, 100_030))).toBe(true);
    expect(() => middle.bytes(0, 50_001)).toThrow(RangeError);
    truncateSync(path, 150_000);
    middle.check();
    truncateSync(path, 149_999);
    expect(() => middle.check()).toThrow(expect.objectContaining({ code: "native/io" }));
  });

  test("can be changed as a copy, which the file does not see", () => {
    const path = fileOf("copied", "0123456789");
    using file = MappedFile.open(path, { mode: "copy-on-write" });
    file.bytes().fill(0x61, 0, 4);
    file.release();
    expect(new TextDecoder().decode(file.bytes())).toBe("aaaa456789");
    expect(readFileSync(path, "utf8")).toBe("0123456789");
  });

  test("leaves memory when it is released, and comes back when it is read", () => {
    const size = 16 << 20;
    using file = MappedFile.open(fileOf("large", new Uint8Array(size).fill(7)));
    const sum = () => file.bytes().reduce((total, byte) => total + byte, 0);
    expect(sum()).toBe(7 * size);
    const won = file.release();
    if (process.platform === "linux") expect(won).toBeGreaterThan(size / 2);
    expect(sum()).toBe(7 * size);
  });

  test.skipIf(process.platform === "win32")("says that its file has shrunk", () => {
    const path = fileOf("shrinking", new Uint8Array(10_000));
    using file = MappedFile.open(path);
    using copy = MappedFile.copy({ path, offset: 5000, size: 5000 });
    truncateSync(path, 100);
    const shorter = expect.objectContaining({ code: "native/io" });
    expect(() => file.check()).toThrow(shorter);
    expect(() => file.bytes(0, 10)).toThrow(shorter);
    expect(copy.bytes().every((byte) => byte === 0)).toBe(true);
    expect(() => MappedFile.copy({ path, offset: 0, size: 101 })).toThrow(shorter);
  });
});
