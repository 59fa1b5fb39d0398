/** Files of a compiled binary are laid out whole, once, and somewhere else when they must. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layOutFiles } from "../../src/cli/embedded-files.ts";

let root: string;
let files: Record<string, string>;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "bitnet-embedded-"));
  writeFileSync(join(root, "one"), "first");
  writeFileSync(join(root, "two"), "second");
  files = { "tales/config.json": join(root, "one"), "tales/model.bin": join(root, "two") };
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

test("the files lie below a folder that carries the digest, and nothing else is left", () => {
  const folder = layOutFiles(files, { folder: join(root, "cache/deep"), digest: "abc" });
  expect(folder).toBe(join(root, "cache/deep/abc"));
  expect(readFileSync(join(folder, "tales/config.json"), "utf8")).toBe("first");
  expect(readFileSync(join(folder, "tales/model.bin"), "utf8")).toBe("second");
  expect(readdirSync(join(root, "cache/deep"))).toEqual(["abc"]);
});

test("a second run writes nothing", () => {
  const options = { folder: join(root, "cache"), digest: "abc" };
  const folder = layOutFiles(files, options);
  expect(layOutFiles({ "tales/model.bin": join(root, "absent") }, options)).toBe(folder);
});

test("a folder that cannot be made is replaced by a temporary one", () => {
  writeFileSync(join(root, "file"), "");
  const folder = layOutFiles(files, { folder: join(root, "file/cache"), digest: "abc" });
  expect(readFileSync(join(folder, "tales/model.bin"), "utf8")).toBe("second");
  rmSync(folder, { recursive: true });
});

test("an embedded file that cannot be read leaves nothing behind", () => {
  const broken = { ...files, more: join(root, "absent") };
  expect(() => layOutFiles(broken, { folder: join(root, "cache"), digest: "bad" })).toThrow();
  expect(existsSync(join(root, "cache"))).toBe(false);
});
