/**
 * The command inside a compiled binary: core and bundled models come out of the binary itself.
 * `scripts/build-binary.ts` writes the entry that imports the files and calls this.
 */
import { join } from "node:path";
import { useEmbeddedCore } from "../native/index.ts";
import { type EmbeddedFiles, layOutFiles } from "./embedded-files.ts";
import { cacheDir, useBundledModels } from "./environment.ts";
import { runCli } from "./run-cli.ts";

/** What a binary carries. */
export interface Binary {
  /** The path of the embedded core. */
  readonly core: string;
  /** The bundled models, by their path below `models/`. */
  readonly models: EmbeddedFiles;
  /** What tells these models from those of another build. */
  readonly digest: string;
}

/** Runs the command with what the binary carries, and ends with its exit code. */
export async function runBinary({ core, models, digest }: Binary): Promise<never> {
  useEmbeddedCore(core);
  useBundledModels(layOutFiles(models, { folder: join(cacheDir(), "bundled"), digest }));
  process.exit(await runCli(process.argv.slice(2)));
}
