/** `bitnet list`: the models that need no download. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { listModels } from "../hub/index.ts";
import { defineCliCommand } from "./command.ts";
import { bundledDir, cacheDir } from "./environment.ts";
import { folderBytes } from "./folder-bytes.ts";
import { formatBytes, table } from "./format.ts";
import { printJson, printLine } from "./output.ts";

/** `bitnet list`. */
export const listCommand = defineCliCommand({
  name: "list",
  description: "Lists the models on this machine: bundled ones, and those pulled from the hub.",
  args: {
    json: { type: "boolean", description: "A JSON array: name, revision, path, bytes, pulledAt" },
  },
  examples: [
    ["bitnet list", "names to give to run, chat and rm"],
    ["bitnet list --json | jq -r '.[].path'", "where they lie"],
  ],
  async run({ args }) {
    const models = [...(await bundledModels()), ...(await listModels(cacheDir()))];
    if (args.json === true) {
      await printJson(models);
      return 0;
    }
    const rows = models.map(({ name, revision, bytes, pulledAt }) => [
      name,
      revision?.slice(0, 12) ?? "bundled",
      formatBytes(bytes),
      pulledAt?.slice(0, 10) ?? "",
    ]);
    for (const line of table([["MODEL", "REVISION", "SIZE", "PULLED"], ...rows])) {
      await printLine(line.trim());
    }
    return 0;
  },
});

/** A model on this machine; only those of the hub have a revision and a date. */
interface ListedModel {
  name: string;
  path: string;
  bytes: number;
  revision?: string;
  pulledAt?: string;
}

async function bundledModels(): Promise<ListedModel[]> {
  const entries = await readdir(bundledDir(), { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const path = join(bundledDir(), name);
      return { name, path, bytes: await folderBytes(path) };
    }),
  );
}
