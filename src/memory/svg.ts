/** What drawings of measurements share: the document around them, and text within. */

export interface SvgDocument {
  title: string;
  width: number;
  height: number;
  /** Where the title begins. */
  left: number;
  /** Elements, in the order in which they are painted. */
  body: readonly string[];
}

/** A whole SVG document that shows in light and dark surroundings. */
export function svgDocument({ title, width, height, left, body }: SvgDocument): string {
  const heading = `<text x="${left}" y="22" font-size="15">${svgText(title)}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
      `width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...[heading, ...body].map((element) => `  ${element}`),
    "</svg>\n",
  ].join("\n");
}

/** Text, so that nothing in it is taken for markup. */
export function svgText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

/** A coordinate to a tenth of a unit. */
export function svgPlace(value: number): number {
  return Math.round(value * 10) / 10;
}
