/**
 * Native memory for buffers of one's own: blocks as typed arrays, scopes that free, a limit that
 * says who holds what, and a report: bun examples/memory.ts [report.svg]
 * In an app the second import is "bitnet-bun/memory".
 */
import { BitNetError } from "../src/index.ts";
import { HybridMemoryPool } from "../src/memory/index.ts";

using pool = new HybridMemoryPool({ maxBytes: 64 << 20, level: "standard", name: "example" });

// A block is freed when its `using` ends. Its views are typed arrays over the memory itself.
using samples = pool.allocate(4_000_000, { align: 64, tag: "samples" });
const signal = samples.view(Float32Array);
for (let at = 0; at < signal.length; at += 1) signal[at] = Math.sin(at / 100);

console.log(`mean square ${meanSquare(signal).toFixed(3)}`);

// What a view shows is gone with its block, so that nobody reads what is another's by then.
const scratch = pool.allocate(1000, { tag: "scratch" });
const bytes = scratch.bytes();
scratch[Symbol.dispose]();
console.log(`a view of a freed block has ${bytes.length} bytes`);

// The limit refuses with the names of those who hold the memory.
try {
  pool.allocate(200 << 20, { tag: "too much" });
} catch (error) {
  if (!(error instanceof BitNetError) || error.code !== "memory/limit-reached") throw error;
  console.log(error.message);
}

const report = pool.report();
console.log(`\n${report}`);
const file = process.argv[2];
if (file !== undefined) await Bun.write(file, report.toSvg());

/** Squares go into a block of their own, which ends with the scope. */
function meanSquare(values: Float32Array): number {
  using _ = pool.scope();
  const squares = pool.allocate(8 * values.length, { tag: "scratch" }).view(Float64Array);
  for (const [at, value] of values.entries()) squares[at] = value * value;
  return squares.reduce((sum, square) => sum + square, 0) / squares.length;
}
