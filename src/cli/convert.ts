/** `bitnet convert`: a model's files to a file of another format. */
import { stat } from "node:fs/promises";
import { convertModel } from "../engine/index.ts";
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
  description: "Writes a model as a GGUF file, its ternary matrices packed.",
  args: {
    model: {
      type: "positional",
      required: true,
      description: "A bundled name, a folder, a .gguf file or owner/name",
    },
    out: { type: "positional", required: true, description: "The new file: name.gguf" },
    type: {
      type: "enum",
      options: ["TQ2_0", "TQ1_0", "I2_S", "F16"],
      default: "TQ2_0",
      description: "How ternary matrices are written",
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
    ["bitnet convert in.gguf out.gguf --type I2_S", "from one GGUF type to another"],
  ],
  notes: [
    "The architecture is bitnet-b1.58 for models with relu², as microsoft's programs read it, and",
    "bitnet for those with silu, as llama.cpp reads it; llama.cpp knows no other.",
    "An interrupted conversion leaves nothing behind.",
  ],
  async run({ args, signal }) {
    const opening = openingOptions(args, signal);
    await refuseExisting(args.out, args.force === true);
    const progress = new Progress(opening);
    try {
      const path = await findModel(args.model, { ...opening, progress });
      const { i2sLayout, hiddenAct } = opening.load ?? {};
      const converted = await convertModel(path, args.out, {
        type: args.type,
        architecture: args.architecture,
        i2sLayout,
        hiddenAct,
        signal,
        onProgress: (stage) => progress.update(stage),
        onWarning: (text) => {
          progress.clear();
          tell(`warning: ${text}`);
        },
      });
      progress.clear();
      if (args.json === true) await printJson(converted);
      else await printLine(converted.path);
      const { type, ternaryCount, bytes, architecture } = converted;
      const matrices = `${plural(ternaryCount, "ternary matrix", "ternary matrices")} in ${type}`;
      if (args.quiet !== true) tell(`${matrices}, ${formatBytes(bytes)}, ${architecture}`);
      return 0;
    } finally {
      progress.clear();
    }
  },
});

async function refuseExisting(path: string, isForced: boolean): Promise<void> {
  if (isForced) return;
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  throw new BitNetError(
    "cli/file-exists",
    `${path} is there already: name another file, or give --force to replace it`,
  );
}
