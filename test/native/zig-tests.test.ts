/** A Zig file whose tests nobody gathers is never run. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dir, "../../zig");

function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

/** Files that a test of `file` imports, and those that they gather in turn. */
function gathered(file: string, seen = new Set<string>()): Set<string> {
  for (const [, path] of read(file).matchAll(/_ = @import\("([^"]+\.zig)"\)/g)) {
    const target = relative(root, join(root, dirname(file), path!));
    if (seen.has(target)) continue;
    seen.add(target);
    gathered(target, seen);
  }
  return seen;
}

const roots = ["tests.zig", "product_tests.zig"];

test("the roots that the build runs gather every file that ends in tests", () => {
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".zig") && !file.includes("zig-cache") && !file.includes("zig-out"),
  );
  const withTests = files.filter((file) => /^test\b/m.test(read(file)) && !roots.includes(file));
  const found = new Set(roots.flatMap((file) => [...gathered(file)]));
  for (const file of roots) expect(read("build.zig")).toContain(`"${file}"`);
  expect(withTests.length).toBeGreaterThan(40);
  expect(withTests.filter((file) => !found.has(file))).toEqual([]);
});
