/** `bitnet convert`: a model's files to a file, or a folder, of another format. */
import { stat } from "node:fs/promises";
import { packingNames } from "../checkpoint/index.ts";
import { type Converted, convertModel } from "../engine/index.ts";
import { BitNetError } from "../errors/index.ts";
import { defineCliCommand } from "./command.ts";
import { formatBytes, plural } from "./format.ts";
import { loadingArgs, openingOptions } from "./model-arguments.ts";
import { findModel } from "./open-model.ts";
import { printJson, printLine, tell } from "./output.ts";
import { Progress } from "./progress.ts";

const { revision, file, quiet } = loadingArgs;

/** `bitnet convert <model> <out>`. */
export const convertCommand = defineCliCommand({
  name: "convert",
  description: "Writes a model as a GGUF file, or as a folder with its matrices packed.",
  args: {
    model: {
      type: "positional",
      required: true,
      description: "A bundled name, a folder, a .gguf file or owner/name",
    },
    out: { type: "positional", required: true, description: "name.gguf, or a folder" },
    type: {
      type: "enum",
      options: ["TQ2_0", "TQ1_0", "I2_S", "F16"],
      default: "TQ2_0",
      description: "How ternary matrices are written",
    },
    packing: {
      type: "enum",
      options: ["auto", ...packingNames],
      valueHint: "name",
      description: "Write a folder instead, matrices in a packing:",
    },
    architecture: {
      type: "enum",
      options: ["bitnet-b1.58", "bitnet"],
      description: "Name of the architecture, where the rule chooses wrong",
    },
    force: { type: "boolean", description: "Replace a file that is there" },
    "i2s-layout": loadingArgs["i2s-layout"],
    "hidden-act": loadingArgs["hidden-act"],
    revision,
    file,
    quiet,
    json: { type: "boolean", description: "One JSON object: path, type, bytes and more" },
  },
  examples: [
    ["bitnet convert ./my-model my-model.gguf", "two bits a weight, as llama.cpp reads them"],
    ["bitnet convert fairy-tales tales.gguf --type TQ1_0", "the smallest: 1.69 bits a weight"],
    ["bitnet convert ./my-model ./packed --packing auto", "each matrix in its smallest packing"],
    ["bitnet convert in.gguf out.gguf --type I2_S", "from one GGUF type to another"],
  ],
  notes: [
    "The architecture is bitnet-b1.58 for models with relu², as microsoft's programs read it, and",
    "bitnet for those with silu, as llama.cpp reads it; llama.cpp knows no other.",
    "An interrupted conversion leaves nothing behind.",
  ],
  async run({ args, signal }) {
    // The packing of a run is another matter than that of a file.
    const opening = openingOptions({ ...args, packing: undefined }, signal);
    // A folder is never replaced: it may hold more than a model.
    await refuseExisting(args.out, args.force === true && args.packing === undefined);
    const progress = new Progress(opening);
    try {
      const path = await findModel(args.model, { ...opening, progress });
      const { i2sLayout, hiddenAct } = opening.load ?? {};
      const converted = await convertModel(path, args.out, {
        type: args.type,
        packing: args.packing,
        architecture: args.architecture,
        i2sLayout,
        hiddenAct,
        signal,
        onProgress: (stage) => progress.update({ ...stage, counts: args.packing !== undefined }),
        onWarning: (text) => {
          progress.clear();
          tell(`warning: ${text}`);
        },
      });
      progress.clear();
      if (args.json === true) await printJson(converted);
      else await printLine(converted.path);
      if (args.quiet !== true) tell(describe(converted));
      return 0;
    } finally {
      progress.clear();
    }
  },
});

function describe(converted: Converted): string {
  const count = (matrices: number): string =>
    plural(matrices, "ternary matrix", "ternary matrices");
  const size = formatBytes(converted.bytes);
  if (converted.format === "gguf") {
    const { ternaryCount, type, architecture } = converted;
    return `${count(ternaryCount)} in ${type}, ${size}, ${architecture}`;
  }
  const parts = Object.entries(converted.packings).map(([name, some]) => `${count(some)} ${name}`);
  return `${parts.join(", ")}; ${size}`;
}

async function refuseExisting(path: string, isForced: boolean): Promise<void> {
  if (isForced) return;
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  throw new BitNetError(
    "cli/file-exists",
    `${path} is there already: name another, or give --force to replace a file`,
  );
}
