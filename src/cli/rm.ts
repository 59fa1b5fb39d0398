/** `bitnet rm`: removes a pulled model from the cache, with what an interrupted pull left. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { BitNetError } from "../errors/index.ts";
import { defineCliCommand } from "./command.ts";
import { cacheDir } from "./environment.ts";
import { folderBytes } from "./folder-bytes.ts";
import { formatBytes } from "./format.ts";
import { printJson, printLine } from "./output.ts";

/** `bitnet rm <name>`. */
export const rmCommand = defineCliCommand({
  name: "rm",
  description: "Removes a pulled model, all its revisions, from the cache.",
  args: {
    name: {
      type: "positional",
      required: true,
      description: "owner/name, as `bitnet list` shows it",
    },
    json: { type: "boolean", description: "One JSON object: name, path, bytes" },
  },
  examples: [["bitnet rm microsoft/bitnet-b1.58-2B-4T", "its files, and what they took, are free"]],
  async run({ args }) {
    const path = cachedFolder(args.name);
    const bytes = await folderBytes(path);
    await rm(path, { recursive: true });
    if (args.json === true) await printJson({ name: args.name, path, bytes });
    else await printLine(`removed ${args.name}: ${formatBytes(bytes)}`);
    return 0;
  },
});

/** The folder of a model in the cache; a name can never lead out of it. */
function cachedFolder(name: string): string {
  const steps = name.split("/");
  const isName = steps.length === 2 && steps.every((step) => /^\w[\w.-]*$/.test(step));
  if (!isName) {
    throw new BitNetError(
      "hub/invalid-name",
      `rm: expected "owner/name" as \`bitnet list\` shows it, got ${JSON.stringify(name)}; ` +
        "bundled models and your own files stay",
    );
  }
  const path = join(cacheDir(), ...steps);
  if (existsSync(path)) return path;
  throw new BitNetError(
    "hub/not-found",
    `rm: ${name} is not in ${cacheDir()}; \`bitnet list\` shows what is`,
  );
}
