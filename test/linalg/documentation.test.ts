/** The example of docs/linalg.md: it runs, and logs what stands beside its lines. */
import { expect, spyOn, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allowAlive } from "../leaks.ts";

// What the example makes lives as long as its module.
allowAlive("arena");
allowAlive("tensor");

const root = join(import.meta.dir, "..", "..");

test("the example logs what it says", async () => {
  const text = await Bun.file(join(root, "docs", "linalg.md")).text();
  const code = /```ts\n([\s\S]*?)```/.exec(text)![1]!;
  const wanted = [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map((match) => match[1]!);
  expect(wanted.length).toBe(4);
  const folder = mkdtempSync(join(tmpdir(), "linalg-example-"));
  const logged: string[] = [];
  const log = spyOn(console, "log").mockImplementation((...values: unknown[]) => {
    logged.push(values.map((value) => Bun.inspect(value)).join(" "));
  });
  try {
    const path = join(folder, "example.ts");
    writeFileSync(
      path,
      code.replace('"bitnet-bun"', JSON.stringify(join(root, "src", "index.ts"))),
    );
    await import(path);
  } finally {
    log.mockRestore();
    rmSync(folder, { recursive: true });
  }
  expect(logged.map((line) => line.replaceAll('"', ""))).toEqual(wanted);
});
