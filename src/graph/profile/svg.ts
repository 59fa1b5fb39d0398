/**
 * Draws a profile: over time, the share of each op, stacked, white where nothing ran; beside it
 * what each took in all.
 */
import { formatDuration, svgDocument, svgPlace, svgText } from "../../memory/index.ts";
import type { ProfileRow, ProfileSpan } from "./rows.ts";

const width = 860;
const height = 380;
const plot = { left: 76, top: 40, right: 610, bottom: 336 };
const columnCount = 267;
const tickCount = 4;
/** Told apart by most eyes; the last is for all other ops. */
const colors = ["#2a5c8a", "#e08e2b", "#4f9d69", "#b8476a", "#7a6bb5", "#3aa0a8", "#9a7b4f"];
const others = { op: "others", color: "#a8adb3" };

interface Drawn {
  spans: readonly ProfileSpan[];
  rows: readonly ProfileRow[];
  /** Of all rows. */
  seconds: number;
}

/** A whole SVG document that shows in light and dark surroundings. */
export function drawProfile(profile: Drawn, title: string): string {
  const end = profile.spans.reduce((last, span) => Math.max(last, span.start + span.seconds), 0);
  const kinds = kindsOf(profile);
  const columns = columnsOf(profile.spans, kinds, end);
  const body = [
    ...grid(end),
    ...kinds.map(({ color }, index) => area(columns, index, color)),
    ...legend(kinds, profile.seconds),
  ];
  return svgDocument({ title, width, height, left: plot.left, body });
}

interface Kind {
  op: string;
  color: string;
  seconds: number;
}

/** The ops that took most time, then all others as one. */
function kindsOf({ rows }: Drawn): Kind[] {
  const seconds = new Map<string, number>();
  for (const row of rows) seconds.set(row.op, (seconds.get(row.op) ?? 0) + row.seconds);
  const sorted = [...seconds].sort(([, a], [, b]) => b - a);
  const kinds = sorted
    .slice(0, colors.length)
    .map(([op, sum], index) => ({ op, color: colors[index]!, seconds: sum }));
  const rest = sorted.slice(colors.length);
  if (rest.length === 0) return kinds;
  return [...kinds, { ...others, seconds: rest.reduce((sum, [, time]) => sum + time, 0) }];
}

/** By kind and column: the share of the column's time that the kind and all before it take. */
function columnsOf(
  spans: readonly ProfileSpan[],
  kinds: readonly Kind[],
  end: number,
): Float64Array[] {
  const shares = kinds.map(() => new Float64Array(columnCount));
  const scale = end > 0 ? columnCount / end : 0;
  for (const { op, start, seconds } of spans) {
    const named = kinds.findIndex((kind) => kind.op === op);
    const share = shares[named < 0 ? shares.length - 1 : named]!;
    const [from, to] = [start * scale, (start + seconds) * scale];
    for (let column = Math.floor(from); column < Math.min(to, columnCount); column += 1) {
      share[column]! += Math.min(to, column + 1) - Math.max(from, column);
    }
  }
  for (let kind = 1; kind < shares.length; kind += 1) {
    for (let column = 0; column < columnCount; column += 1) {
      shares[kind]![column]! += shares[kind - 1]![column]!;
    }
  }
  return shares;
}

function area(columns: readonly Float64Array[], index: number, color: string): string {
  const above = corners(columns[index]!);
  const below = index > 0 ? corners(columns[index - 1]!) : corners(new Float64Array(columnCount));
  const outline = [...above, ...below.reverse()].join(" ");
  return `<polygon points="${outline}" fill="${color}" fill-opacity="0.85"/>`;
}

/** A staircase: each column is level. */
function corners(shares: Float64Array): string[] {
  const points: string[] = [];
  shares.forEach((share, column) => {
    const y = svgPlace(plot.bottom - (plot.bottom - plot.top) * Math.min(1, share));
    points.push(`${svgPlace(at(column))},${y}`, `${svgPlace(at(column + 1))},${y}`);
  });
  return points;
}

function at(column: number): number {
  return plot.left + ((plot.right - plot.left) * column) / columnCount;
}

function grid(end: number): string[] {
  const lines: string[] = [];
  for (let tick = 0; tick <= tickCount; tick += 1) {
    const y = svgPlace(plot.bottom - ((plot.bottom - plot.top) * tick) / tickCount);
    const x = svgPlace(plot.left + ((plot.right - plot.left) * tick) / tickCount);
    lines.push(
      `<path d="M${plot.left} ${y}H${plot.right}" stroke="#dfe2e5"/>`,
      `<text x="${plot.left - 6}" y="${y + 4}" text-anchor="end" fill="#555c64">` +
        `${(100 * tick) / tickCount} %</text>`,
      `<text x="${x}" y="${plot.bottom + 18}" text-anchor="middle" fill="#555c64">` +
        `${formatDuration((end * tick) / tickCount)}</text>`,
    );
  }
  return lines;
}

function legend(kinds: readonly Kind[], total: number): string[] {
  const x = plot.right + 16;
  return kinds.map(({ op, color, seconds }, index) => {
    const share = total > 0 ? (100 * seconds) / total : 0;
    return (
      `<g transform="translate(0 ${plot.top + 10 + 20 * index})">` +
      `<rect x="${x}" y="-9" width="10" height="10" fill="${color}"/>` +
      `<text x="${x + 16}">${svgText(op)}, ${formatDuration(seconds)}, ` +
      `${share.toFixed(1)} %</text></g>`
    );
  });
}
