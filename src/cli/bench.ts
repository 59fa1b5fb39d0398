/** `bitnet bench`: how fast a model reads prompts and generates here, beside what could be. */
import { join } from "node:path";
import { tune, tuningFileName } from "../engine/index.ts";
import { BitNetError } from "../errors/index.ts";
import { benchFormats, benchModel, describeMachine, formatBench } from "../report/index.ts";
import { defineCliCommand } from "./command.ts";
import { bundledModel, cacheDir } from "./environment.ts";
import { loadingArgs, openingOptions } from "./model-arguments.ts";
import { findModel } from "./open-model.ts";
import { printLine, tell } from "./output.ts";
import { Progress } from "./progress.ts";

const { precision, packing, revision, file, quiet } = loadingArgs;

/** `bitnet bench [model]`. */
export const benchCommand = defineCliCommand({
  name: "bench",
  description: "Measures how fast a model runs here, beside the machine's own limits.",
  args: {
    model: {
      type: "positional",
      required: false,
      description: `A bundled name, a folder, a .gguf file or owner/name [${bundledModel}]`,
    },
    prompt: list("p", "512", "Tokens of prompts to read; 0: none"),
    gen: list("n", "128", "Tokens to generate; 0: none"),
    depth: list("d", "0", "Tokens that are in the context before"),
    threads: list("t", "0", "Threads; 0: all processors, or what --tune found"),
    repetitions: {
      type: "string",
      alias: "r",
      default: "5",
      valueHint: "count",
      description: "Runs of each test, in turns",
    },
    output: {
      type: "enum",
      alias: "o",
      options: [...benchFormats],
      default: "md",
      description: "Format of the output",
    },
    tune: {
      type: "boolean",
      description: "First find the best packing and threads, and keep them",
    },
    precision,
    packing,
    "i2s-layout": loadingArgs["i2s-layout"],
    "hidden-act": loadingArgs["hidden-act"],
    revision,
    file,
    quiet,
  },
  examples: [
    ["bitnet bench", "the bundled model: pp512 and tg128"],
    ["bitnet bench ./my-model -p 128,512 -n 64 -d 0,2048", "several lengths and depths"],
    ["bitnet bench ./my-model -t 1,2 -o jsonl", "one line a test, for scripts"],
    ["bitnet bench ./my-model --tune", "with the best threads here, from then on"],
  ],
  notes: [
    "Names are llama-bench's: pp reads a prompt, tg generates, @ d stands behind so many tokens.",
    "The last column is the share of what memory (tg) or int8 arithmetic (pp) could give at most,",
    "measured between the runs. Figures are medians with half the spread. What is longer than the",
    "model's context is shortened to it.",
  ],
  async run({ args, signal }) {
    const opening = openingOptions({ ...args, threads: undefined }, signal);
    const options = {
      prompts: countsOf("prompt", args.prompt).filter((count) => count > 0),
      generations: countsOf("gen", args.gen).filter((count) => count > 0),
      depths: countsOf("depth", args.depth),
      threads: countsOf("threads", args.threads),
      repetitions: countsOf("repetitions", args.repetitions)[0] || 1,
    };
    const progress = new Progress(opening);
    try {
      const path = await findModel(args.model ?? bundledModel, { ...opening, progress });
      if (args.tune === true) options.threads = await tuneHere(options.threads, opening.quiet);
      const bench = await benchModel(path, {
        ...options,
        load: opening.load,
        signal,
        onProgress: (done, total) =>
          progress.update({ stage: "measuring", done, total, counts: true }),
      });
      progress.clear();
      const machine = describeMachine(bench.tests[0]!.threads);
      await printLine(formatBench(bench, machine, args.output));
      return 0;
    } finally {
      progress.clear();
    }
  },
});

function list(alias: string, preset: string, description: string) {
  return { type: "string", alias, valueHint: "count,...", description, default: preset } as const;
}

/** Whole numbers with commas between. @throws BitNetError cli/invalid-value */
function countsOf(option: string, text: string): number[] {
  return text.split(",").map((part) => {
    if (/^\d{1,7}$/.test(part.trim())) return Number(part);
    throw new BitNetError(
      "cli/invalid-value",
      `--${option}: expected whole numbers with commas between, got ${JSON.stringify(text)}`,
    );
  });
}

/** Measures thread counts, tells of them, and gives those to bench where none were asked for. */
async function tuneHere(wanted: number[], isQuiet = false): Promise<number[]> {
  const giga = (rate: number): string => (rate / 1e9).toFixed(1);
  const result = await tune({
    tuningFile: join(cacheDir(), tuningFileName),
    onMeasured: ({ threads, decode, prefill }) => {
      if (isQuiet) return;
      const rates = `decode ${giga(decode.tile2)} G weights/s in tile2, ${giga(decode.tile3)} in tile3`;
      tell(`${threads} threads: ${rates}; prefill ${giga(prefill)} G/s`);
    },
  });
  const { packing: best, threads, measuredBlocks, stored } = result;
  const kept = stored ? "kept for every load" : "not kept: the file could not be written";
  if (!isQuiet) {
    for (const { name, gains, chosen } of measuredBlocks) {
      const tried = Object.entries(gains).map(([size, gain]) => `${size} ${gain.toFixed(2)}`);
      tell(`${name}: ${tried.join(", ")} times the default's speed; ${chosen[name] ?? "it stays"}`);
    }
    tell(
      `best: ${best}, ${threads.decode} threads for one token, ${threads.prefill} for prompts; ${kept}`,
    );
  }
  return wanted[0] === 0 ? [...new Set([threads.decode, threads.prefill])] : wanted;
}
