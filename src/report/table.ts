/** Tables in Markdown whose source is aligned too, so that a terminal shows them as well. */

export type Cell = string | number;

/** The first column is left-aligned, the others, figures most often, right-aligned. */
export function formatTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  for (const row of rows) {
    if (row.length !== header.length) {
      throw new RangeError(`want ${header.length} cells in a row, got ${row.length}: ${row}`);
    }
  }
  const lines = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_, column) =>
    Math.max(2, ...lines.map((line) => Bun.stringWidth(line[column]!))),
  );
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  const aligned = lines.map((line) =>
    line.map((cell, column) => {
      const padding = " ".repeat(widths[column]! - Bun.stringWidth(cell));
      return column === 0 ? cell + padding : padding + cell;
    }),
  );
  return [aligned[0]!, rule, ...aligned.slice(1)]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}
