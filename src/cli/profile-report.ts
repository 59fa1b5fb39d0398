/** `--profile`: where the time of a story went, as a table, a trace for Perfetto or a drawing. */
import { writeFile } from "node:fs/promises";
import type { Model } from "../engine/index.ts";
import { BitNetError } from "../errors/index.ts";
import type { ProfileRow } from "../graph/index.ts";
import { tell } from "./output.ts";

/** Enough for some hundred tokens of a model of thirty layers. */
const events = 1 << 18;

/** A profile to come. */
export interface ProfileWatch {
  /** Before the model writes. */
  start(model: Model): void;
  /** Seconds in instructions, and the rows of the table. */
  report(model: Model): { seconds: number; rows: readonly ProfileRow[] };
  /** Writes the files that were named, and the table, where it is one, to standard error. */
  tell(model: Model, options: { isTable: boolean }): Promise<void>;
}

/**
 * `files` are the values of the option.
 * @throws BitNetError `cli/invalid-value` for a file that is neither a trace nor a drawing
 */
export function watchTime(files: readonly string[]): ProfileWatch {
  for (const file of files) {
    if (file.endsWith(".json") || file.endsWith(".svg")) continue;
    throw new BitNetError(
      "cli/invalid-value",
      `--profile: expected a file that ends in .json or .svg, got ${JSON.stringify(file)}`,
    );
  }
  return {
    start: (model) => model.startProfile({ events }),
    report(model) {
      const { seconds, rows } = model.profile();
      return { seconds, rows };
    },
    async tell(model, { isTable }) {
      const profile = model.profile();
      if (isTable) tell(`\n${profile}`);
      for (const file of files) {
        const isTrace = file.endsWith(".json");
        await writeFile(file, isTrace ? profile.chromeTrace() : profile.toSvg(model.info.name));
        tell(isTrace ? `trace for ui.perfetto.dev: ${file}` : `time by instruction: ${file}`);
      }
    },
  };
}
