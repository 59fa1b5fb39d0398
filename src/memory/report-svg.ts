/** Draws a timeline: areas by tag, stacked, under the lines of the peak and of what was held. */
import { formatBytes, formatDuration } from "./format.ts";
import { svgDocument, svgPlace, svgText } from "./svg.ts";
import type { Timeline } from "./timeline.ts";

const width = 860;
const height = 380;
const plot = { left: 76, top: 40, right: 690, bottom: 336 };
const tickCount = 4;
/** Told apart by most eyes, from dark to light; the last is for what has no tag. */
const colors = ["#2a5c8a", "#e08e2b", "#4f9d69", "#b8476a", "#7a6bb5", "#3aa0a8", "#9a7b4f"];
const withoutTag = "#a8adb3";

/** A whole SVG document that shows in light and dark surroundings. */
export function drawTimeline(timeline: Timeline, title: string): string {
  const high = Math.max(1, ...timeline.held, ...timeline.peak);
  const end = timeline.seconds.at(-1) ?? 0;
  const at = (column: number): number =>
    plot.left + ((plot.right - plot.left) * column) / timeline.seconds.length;
  const level = (bytes: number): number => plot.bottom - ((plot.bottom - plot.top) * bytes) / high;
  const body = [
    ...grid(high, end, level),
    ...areas(timeline, at, level),
    line(steps(timeline.held, at, level), 'stroke="#555c64" stroke-dasharray="5 3"'),
    line(steps(timeline.peak, at, level), 'stroke="#c0392b" stroke-dasharray="1.5 3"'),
    ...legend(timeline),
  ];
  return svgDocument({ title, width, height, left: plot.left, body });
}

type Level = (bytes: number) => number;
type At = (column: number) => number;

function grid(high: number, end: number, level: Level): string[] {
  const lines: string[] = [];
  for (let tick = 0; tick <= tickCount; tick += 1) {
    const bytes = (high * tick) / tickCount;
    const y = svgPlace(level(bytes));
    const x = svgPlace(plot.left + ((plot.right - plot.left) * tick) / tickCount);
    const time = formatDuration((end * tick) / tickCount);
    lines.push(
      `<path d="M${plot.left} ${y}H${plot.right}" stroke="#dfe2e5"/>`,
      `<text x="${plot.left - 6}" y="${y + 4}" text-anchor="end" fill="#555c64">` +
        `${formatBytes(bytes)}</text>`,
      `<text x="${x}" y="${plot.bottom + 18}" text-anchor="middle" fill="#555c64">${time}</text>`,
    );
  }
  return lines;
}

function areas({ tags, seconds }: Timeline, at: At, level: Level): string[] {
  let below = new Array<number>(seconds.length).fill(0);
  return tags.map(({ tag, used }, index) => {
    const above = used.map((bytes, column) => bytes + below[column]!);
    const back = steps(below, at, level).reverse();
    const outline = [...steps(above, at, level), ...back].join(" ");
    below = above;
    return `<polygon points="${outline}" fill="${colorOf(tag, index)}" fill-opacity="0.85"/>`;
  });
}

/** Corners of a staircase: each column is level. */
function steps(values: readonly number[], at: At, level: Level): string[] {
  return values.flatMap((bytes, column) => {
    const y = svgPlace(level(bytes));
    return [`${svgPlace(at(column))},${y}`, `${svgPlace(at(column + 1))},${y}`];
  });
}

function line(points: readonly string[], stroke: string): string {
  return `<polyline points="${points.join(" ")}" fill="none" ${stroke} stroke-width="1.5"/>`;
}

function legend({ tags, held, peak }: Timeline): string[] {
  const x = plot.right + 16;
  const entries = tags.map(({ tag, used }, index) => ({
    mark: `<rect x="${x}" y="-9" width="10" height="10" fill="${colorOf(tag, index)}"/>`,
    text: `${tag === null ? "earlier" : tag || "untagged"}, ${formatBytes(Math.max(...used))}`,
  }));
  const dash = (stroke: string): string =>
    `<path d="M${x} -4h10" fill="none" ${stroke} stroke-width="1.5"/>`;
  entries.push(
    {
      mark: dash('stroke="#c0392b" stroke-dasharray="1.5 3"'),
      text: `peak, ${formatBytes(peak.at(-1) ?? 0)}`,
    },
    {
      mark: dash('stroke="#555c64" stroke-dasharray="5 3"'),
      text: `reserved, ${formatBytes(Math.max(0, ...held))}`,
    },
  );
  return entries.map(
    ({ mark, text }, index) =>
      `<g transform="translate(0 ${plot.top + 10 + 20 * index})">${mark}` +
      `<text x="${x + 16}">${svgText(text)}</text></g>`,
  );
}

function colorOf(tag: string | null, index: number): string {
  return tag === null ? withoutTag : colors[index % colors.length]!;
}
