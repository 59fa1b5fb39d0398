/**
 * `bitnet run`: a model writes on from a prompt, or tells a story of its own. The text goes to
 * standard output piece by piece; everything else goes to standard error.
 */
import { stat } from "node:fs/promises";
import type { Model } from "../engine/index.ts";
import { BitNetError } from "../errors/index.ts";
import { defineCliCommand } from "./command.ts";
import { bundledModel } from "./environment.ts";
import { watchMemory } from "./memory-report.ts";
import { loadingArgs, openingOptions, samplingArgs, samplingOptions } from "./model-arguments.ts";
import { openModel } from "./open-model.ts";
import { tell } from "./output.ts";
import { readPipedPrompt } from "./piped-prompt.ts";
import { watchTime } from "./profile-report.ts";
import { speedLine } from "./speed-line.ts";
import { writeJson, writeText } from "./write-generation.ts";

const opening = "Once upon a time";
const maxTokensDefault = 200;

/** `bitnet run [model] [prompt]`. */
export const runCommand = defineCliCommand({
  name: "run",
  description: "Lets a model write: a story of its own, or on from your words.",
  joinsWords: true,
  args: {
    model: {
      type: "positional",
      required: false,
      description: `A bundled name, a folder, a .gguf file or owner/name [${bundledModel}]`,
    },
    prompt: {
      type: "positional",
      required: false,
      description: "What to go on from; - reads it from standard input, as an empty one may",
    },
    ...samplingArgs,
    echo: { type: "boolean", default: true, description: "Leave the prompt out of the output" },
    ...loadingArgs,
    json: { type: "boolean", description: "One JSON object: text, tokens, finishReason, stats" },
    stream: { type: "boolean", description: "With --json: a line for each piece before it" },
    "memory-report": {
      type: "boolean",
      valueHint: "file.svg",
      description: "What memory it took, and for what; drawn into a file",
    },
    profile: {
      type: "boolean",
      valueHint: "file",
      description: "Where the time went; into .json as a trace, into .svg drawn",
    },
  },
  examples: [
    ["bitnet run", "the bundled model tells a story"],
    ['bitnet run "The wolf said" --seed 7', "the same tale each time"],
    ["bitnet run ./my-model.gguf - < prompt.txt", "a prompt from a file"],
    ['echo "The king" | bitnet run --temperature 0', "the likeliest words, from a pipe"],
    ["bitnet run --json | jq .stats", "for scripts"],
    ["bitnet run --memory-report=memory.svg", "what the engine held, by tag and over time"],
    ["bitnet run --profile=trace.json", "what ran when, for ui.perfetto.dev"],
  ],
  notes: [
    `${maxTokensDefault} tokens at most unless --max-tokens says otherwise. The bundled model goes`,
    "on past the end of a tale. Without a prompt a model begins with its own opening.",
  ],
  async run({ args, words, valuesOf, signal }) {
    const sampling = samplingOptions(args, valuesOf("stop"));
    const memory = args["memory-report"] === true ? watchMemory(valuesOf("memory-report")) : null;
    const time = args.profile === true ? watchTime(valuesOf("profile")) : null;
    const call = await readCall(words);
    const opened = openModel(call.model, openingOptions(args, signal)).catch((error) => {
      throw call.prompt === undefined ? withPromptHint(error, call.model) : error;
    });
    const [model, given] = await Promise.all([
      opened,
      call.prompt ?? readPipedPrompt(call, signal),
    ]);
    await using _ = model;
    time?.start(model);
    const isBundled = call.model === bundledModel;
    const prompt = given === "" ? openingOf(model, isBundled) : given;
    const generation = model.generate(prompt, {
      ...sampling,
      maxTokens: sampling.maxTokens ?? maxTokensDefault,
      ignoreEos: sampling.ignoreEos ?? isBundled,
      signal,
    });
    const story = { model: model.info.name, prompt: typeof prompt === "string" ? prompt : "" };
    const stream = args.stream === true;
    const reports = {
      ...(memory && { memory: () => memory.report() }),
      ...(time && { profile: () => time.report(model) }),
    };
    if (args.json === true) await writeJson(generation, { ...story, stream, reports });
    else await writeText(generation, args.echo ? story.prompt : "");
    if (args.quiet !== true) tell(speedLine(generation.stats));
    await memory?.tell({ isTable: args.json !== true });
    await time?.tell(model, { isTable: args.json !== true });
    return 0;
  },
});

/** What the positional words mean. */
interface Call {
  model: string;
  /** Undefined when it may come through a pipe. */
  prompt: string | undefined;
  isAskedFor: boolean;
}

/** A first word with spaces is a prompt for the bundled model, unless a file has that name. */
async function readCall(words: readonly string[]): Promise<Call> {
  const [first = bundledModel, ...rest] = words;
  const isPrompt = first === "-" || (/\s/.test(first.trim()) && !(await exists(first)));
  const prompt = (isPrompt ? words : rest).join(" ");
  const isAskedFor = prompt === "-";
  const isOpen = prompt === "" || isAskedFor;
  return {
    model: isPrompt ? bundledModel : first,
    prompt: isOpen ? undefined : prompt,
    isAskedFor,
  };
}

/** A single word that is no model may have been meant as a prompt. */
function withPromptHint(error: unknown, word: string): unknown {
  if (!(error instanceof BitNetError) || error.code !== "hub/invalid-name") return error;
  const hint = `a prompt of one word goes behind the model: bitnet run ${bundledModel} ${word}`;
  return new BitNetError(error.code, `${error.message}; ${hint}`, { cause: error });
}

/** How a model begins by itself: with the token that opens its texts, where it has one. */
function openingOf({ tokenizer }: Model, isBundled: boolean): string | number[] {
  return isBundled || tokenizer.bosId === null ? opening : [tokenizer.bosId];
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
