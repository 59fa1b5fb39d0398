/** The command line of bench/load.ts: what it prints is read by other programs. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const bench = join(import.meta.dir, "..", "..", "bench", "load.ts");

interface Report {
  results: { fileBytes: number; peakBytes: number; seconds: Record<string, { median: number }> }[];
}

test("bench/load.ts --smoke --json prints the times of a load and its parts", async () => {
  const folder = mkdtempSync(join(tmpdir(), "load-bench-"));
  try {
    const command = [process.execPath, bench, "--smoke", "--json", "--folder", folder];
    const child = Bun.spawn(command, { stderr: "inherit" });
    const { results } = (await new Response(child.stdout).json()) as Report;
    expect(await child.exited).toBe(0);
    expect(results.length).toBe(2);
    for (const { fileBytes, peakBytes, seconds } of results) {
      expect(peakBytes).toBeGreaterThan(fileBytes);
      for (const task of ["read", "read-whole", "load", "open", "tokenizer", "weights"]) {
        expect(seconds[task]!.median).toBeGreaterThan(0);
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);
