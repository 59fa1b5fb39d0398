/**
 * The checks of `bitnet doctor --memory`: what memory this system gives, whether pools work here
 * and see faults, and what the engine takes of it for a story.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { loadModel } from "../engine/index.ts";
import { BitNetError, type ErrorCode } from "../errors/index.ts";
import { cleanUp, formatBytes, HybridMemoryPool, memoryPressure } from "../memory/index.ts";
import { bufferAt, coreInfo, NativePool, packManner, systemMemory } from "../native/index.ts";
import type { Check, Finding } from "./doctor-checks.ts";
import { bundledDir, bundledModel } from "./environment.ts";
import { plural } from "./format.ts";

const mib = 1 << 20;
const opening = "Once upon a time";
const storyTokens = 32;
const hugePagesFile = "/sys/kernel/mm/transparent_hugepage/enabled";

/** In the order in which one thing needs the other. */
export const memoryChecks: readonly Check[] = [
  checkSystem,
  checkPages,
  checkPool,
  checkFaults,
  checkEngine,
  checkCleaning,
];

function checkSystem(): Finding {
  const { total, available, limit, resident } = systemMemory();
  const pressure = memoryPressure();
  const bound = limit < total ? `a limit of ${formatBytes(limit)} on ` : "";
  const text =
    `${formatBytes(available)} available of ${bound}${formatBytes(total)}, this process has ` +
    `${formatBytes(resident)}; pressure ${pressure}`;
  if (pressure === "none" || pressure === "low") return { name: "system", state: "ok", text };
  const remedy = "close other programs, or raise the limit of the container";
  return { name: "system", state: "warn", text, remedy };
}

async function checkPages(): Promise<Finding> {
  const size = `pages of ${formatBytes(coreInfo().pageSize)}`;
  const name = "pages";
  if (process.platform !== "linux") return { name, state: "ok", text: size };
  const modes = await readFile(hugePagesFile, "utf8").catch(() => "");
  const mode = /\[(\w+)\]/.exec(modes)?.[1] ?? "never";
  const text = `${size}, huge pages: ${mode}`;
  if (mode !== "never") return { name, state: "ok", text };
  const remedy = `\`echo madvise > ${hugePagesFile}\` as root makes large models a little faster`;
  return { name, state: "warn", text, remedy };
}

/** Blocks of every kind hold what is written to them, and all comes back. */
function checkPool(): Finding {
  using pool = new HybridMemoryPool({ level: "standard", name: "self-check" });
  const sizes = [1, 100, 4096, 200_000, mib, 5 * mib, 80 * mib];
  const blocks = sizes.flatMap((size) =>
    [16, 4096].map((align) => pool.allocate(size, { align, tag: "self-check", zeroed: true })),
  );
  for (const [index, block] of blocks.entries()) {
    const bytes = block.bytes();
    if (bytes[0] !== 0 || bytes.at(-1) !== 0) return failed("pool", "zeroed memory is not zero");
    bytes[0] = index;
    bytes[bytes.length - 1] = index;
  }
  for (const [index, block] of blocks.entries()) {
    const isWhole = block.bytes().at(-1) === index;
    block[Symbol.dispose]();
    if (!isWhole) return failed("pool", `a block of ${block.size} bytes lost what it held`);
  }
  const { used, blocks: alive, peak } = pool.metrics();
  if (used !== 0 || alive !== 0)
    return failed("pool", `${plural(alive, "block")} did not come back`);
  const text = `${plural(blocks.length, "block")} up to ${formatBytes(80 * mib)} came and went`;
  return { name: "pool", state: "ok", text: `${text}, peak ${formatBytes(peak)}` };
}

/** Each fault on purpose, natively, as a wrong program would: all must be seen. */
function checkFaults(): Finding {
  const pool = NativePool.create({ sizeMax: 0, level: "basic", debug: true, hugePages: true });
  try {
    const manner = packManner({ align: 16, tag: 0, zeroed: false, sparse: false });
    const [first, second] = [0, 0].map(() => pool.allocate(100, manner, 0)) as [number, number];
    new Uint8Array(bufferAt(second + 100, 1))[0] = 1;
    const seen: [what: string, isSeen: boolean][] = [
      ["damage", pool.validate() === 1],
      ["damage at its free", codeOf(() => pool.free(second, 100, 0)) === "memory/guard-damaged"],
      ["a foreign block", codeOf(() => pool.free(first + 16, 100, 0)) === "memory/foreign-block"],
      ["a free", codeOf(() => pool.free(first, 100, 0)) === undefined],
      ["a double free", codeOf(() => pool.free(first, 100, 0)) === "memory/double-free"],
    ];
    const missed = seen.flatMap(([what, isSeen]) => (isSeen ? [] : [what]));
    if (missed.length > 0) return failed("faults", `debug mode missed ${missed.join(", ")}`);
    return { name: "faults", state: "ok", text: "damage, foreign blocks, double frees are seen" };
  } finally {
    pool.release();
  }
}

/** What the engine takes for a story, and whether it gives it back. */
async function checkEngine(signal: AbortSignal): Promise<Finding> {
  const name = "engine";
  const { engine } = HybridMemoryPool;
  const before = engine.metrics().used;
  let text = "";
  try {
    await using model = await loadModel(join(bundledDir(), bundledModel), { signal });
    await model.generate(opening, { maxTokens: storyTokens, signal }).text();
    const { metrics, tags } = engine.report();
    const parts = tags
      .filter(({ used }) => used > 0)
      .map(({ tag, used }) => `${tag || "untagged"} ${formatBytes(used)}`);
    text = `${formatBytes(metrics.used)} for a story (${parts.join(", ")})`;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { name, state: "fail", text: reason, remedy: "`bitnet doctor` looks at the rest" };
  }
  const kept = engine.metrics().used - before;
  return { name, state: "ok", text: `${text}; ${formatBytes(Math.max(0, kept))} kept afterwards` };
}

/** Frees all that an idle model has, in the midst of a story: it must go on with the same words. */
async function checkCleaning(signal: AbortSignal): Promise<Finding> {
  const name = "cleaning";
  try {
    await using model = await loadModel(join(bundledDir(), bundledModel), { signal });
    const write = async (ids: number[], maxTokens: number): Promise<number[]> => {
      const tokens: number[] = [];
      const options = { maxTokens, temperature: 0, ignoreEos: true, signal };
      for await (const { token } of model.generate(ids, options)) {
        if (token !== null) tokens.push(token);
      }
      return tokens;
    };
    const prompt = model.tokenizer.encode(opening);
    const whole = await write(prompt, 2 * storyTokens);
    const start = whole.slice(0, storyTokens);
    const { won, steps, milliseconds } = cleanUp();
    const rest = await write([...prompt, ...start], storyTokens);
    if (!Bun.deepEquals([...start, ...rest], whole)) {
      return failed(name, "a story went on differently after its memory had been freed");
    }
    const text =
      `${formatBytes(won)} of an idle model freed in ${milliseconds.toFixed(1)} ms ` +
      `(${plural(steps.length, "step")}); its story went on with the same words`;
    return { name, state: "ok", text };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { name, state: "fail", text: reason, remedy: "`bitnet doctor` looks at the rest" };
  }
}

function codeOf(work: () => void): ErrorCode | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof BitNetError) return error.code;
    throw error;
  }
  return undefined;
}

function failed(name: string, text: string): Finding {
  return { name, state: "fail", text, remedy: "report this machine: memory cannot be relied on" };
}
