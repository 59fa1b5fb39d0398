/** `bitnet pull`: brings a model of the hub into the cache, or brings it up to date. */
import { pullModel } from "../hub/index.ts";
import { defineCliCommand } from "./command.ts";
import { hubOptions } from "./environment.ts";
import { formatBytes, plural } from "./format.ts";
import { stageOf } from "./open-model.ts";
import { printJson, printLine, tell } from "./output.ts";
import { Progress } from "./progress.ts";

/** `bitnet pull <name>`. */
export const pullCommand = defineCliCommand({
  name: "pull",
  description: "Brings a model from the Hugging Face hub, or brings it up to date.",
  args: {
    name: { type: "positional", required: true, description: "owner/name, as on the hub" },
    revision: { type: "string", valueHint: "name", description: "Branch, tag or commit [main]" },
    file: { type: "string", valueHint: "name.gguf", description: "This file alone" },
    quiet: { type: "boolean", alias: "q", description: "No progress" },
    json: { type: "boolean", description: "One JSON object: name, revision, path, files, bytes" },
  },
  examples: [
    ["bitnet pull microsoft/bitnet-b1.58-2B-4T", "then: bitnet chat microsoft/bitnet-b1.58-2B-4T"],
    ["bitnet pull owner/name --revision v1", "a tag"],
    ["bitnet pull owner/name --file tq2_0.gguf", "one of several files"],
  ],
  notes: [
    "An interrupted pull goes on where it stopped. HF_TOKEN opens private and gated models,",
    "HF_ENDPOINT names another hub, BITNET_HOME another folder than the user's cache.",
  ],
  async run({ args, signal }) {
    const { name, revision, file, quiet = false } = args;
    const progress = new Progress({ quiet });
    try {
      const pulled = await pullModel(name, {
        ...hubOptions(),
        signal,
        onProgress: (step) => progress.update(stageOf(step)),
        ...(revision !== undefined && { revision }),
        ...(file !== undefined && { file }),
      });
      progress.clear();
      if (args.json === true) await printJson({ name, ...pulled });
      else await printLine(pulled.path);
      const size = `${plural(pulled.files, "file")}, ${formatBytes(pulled.bytes)}`;
      if (!quiet) tell(`${name} at ${pulled.revision.slice(0, 12)}: ${size}`);
      return 0;
    } finally {
      progress.clear();
    }
  },
});
