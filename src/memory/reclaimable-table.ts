/** What could be freed at this moment, as people read it: the list of reclaimers as a table. */
import { alignRows, formatBytes, formatDuration } from "./format.ts";
import { reclaimers } from "./upkeep.ts";

/** Lines of what is idle, in the order in which it is asked; none when nothing is. */
export function reclaimableTable(): string[] {
  const items = reclaimers.items();
  if (items.length === 0) return [];
  return alignRows([
    ["can be freed now", "about", "made again in"],
    ...items.map(({ name, bytes, costSeconds }) => [
      name,
      bytes === null ? "unknown" : formatBytes(bytes),
      costSeconds === 0 ? "no time" : formatDuration(costSeconds),
    ]),
  ]);
}
