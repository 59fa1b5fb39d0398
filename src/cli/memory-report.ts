/** `--memory-report`: what the engine's pool held for a story, as a table, JSON or a drawing. */
import { writeFile } from "node:fs/promises";
import { BitNetError } from "../errors/index.ts";
import { HybridMemoryPool, type PoolReport, reclaimableTable } from "../memory/index.ts";
import { tell } from "./output.ts";

/** A report to come. */
export interface MemoryWatch {
  /** As things stand now. */
  report(): PoolReport;
  /** Writes the drawing where a file was named, and the table to standard error. */
  tell(options: { isTable: boolean }): Promise<void>;
}

/**
 * Has the engine's memory tracked from its first block on, unless the environment says how; so it
 * comes before the model is opened. `files` are the values of the option.
 * @throws BitNetError `cli/invalid-value` for a file that is no drawing
 */
export function watchMemory(files: readonly string[]): MemoryWatch {
  const file = files.at(-1);
  if (file !== undefined && !file.endsWith(".svg")) {
    throw new BitNetError(
      "cli/invalid-value",
      `--memory-report: expected a file that ends in .svg, got ${JSON.stringify(file)}`,
    );
  }
  process.env.BITNET_MEMORY_TRACKING ||= "standard";
  return {
    report: () => HybridMemoryPool.engine.report(),
    async tell({ isTable }) {
      const report = HybridMemoryPool.engine.report();
      if (isTable) tell(`\n${report}\n\n${reclaimableTable().join("\n")}`);
      if (file === undefined) return;
      await writeFile(file, report.toSvg());
      tell(`memory over time: ${file}`);
    },
  };
}
