/**
 * The countable rules of the house: sizes of files, functions and lines, opening comments, and
 * words that have no place in finished code. Generated files are exempt from sizes.
 */
import { type SourceFile, sourceFiles } from "./files.ts";

const fileLinesMax = 500;
const testLinesMax = 800;
const functionLinesMax = 70;
const columnsMax = 100;
const openingLinesMax = 10;

/** Split, so that this file passes its own rule. */
const bannedWords: { pattern: RegExp; only?: RegExp }[] = [
  {
    pattern: new RegExp(
      `\\b(${["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"].join("|")})\\b`,
    ),
  },
  { pattern: new RegExp(`@ts-${"ignore"}|@ts-${"nocheck"}`) },
  { pattern: new RegExp(`(^|["' (\`])/(${"work"}|${"root"})/`) },
  { pattern: /\bconsole\./, only: /^src\/(?!cli\/).*\.ts$/ },
];
const bannedNames = /(^|\/)(utils?|helpers?|misc)(\/|\.)|(^|\/)common\.ts$/;

/** The rules as checks: each reads the files when it runs and lists its breaches. */
export function houseRules(root: string): Record<string, () => string[]> {
  const over = (rule: (file: SourceFile) => string[]) => () => sourceFiles(root).flatMap(rule);
  return {
    "file sizes": over(fileSize),
    "zig functions": over(zigFunctions),
    columns: over(columns),
    "opening comments": over(opening),
    "banned words": over(banned),
  };
}

function fileSize({ path, lines }: SourceFile): string[] {
  if (isGenerated(path)) return [];
  const max = path.startsWith("test/") ? testLinesMax : fileLinesMax;
  return lines.length <= max ? [] : [`${path}: ${lines.length} lines, at most ${max}`];
}

/**
 * zig fmt puts the closing brace of a function at the column of its opening line. A function that
 * returns a type is a container: its own functions are measured.
 */
function zigFunctions({ path, lines }: SourceFile): string[] {
  if (!path.endsWith(".zig") || isGenerated(path)) return [];
  return lines.flatMap((line, start) => {
    const indent = line.match(/^( *)(?:pub |export |inline |extern )*fn .*$/)?.[1];
    if (indent === undefined || /(;|\}| type \{)$/.test(line)) return [];
    const length = lines.slice(start).indexOf(`${indent}}`) + 1;
    if (length <= functionLinesMax) return [];
    return [`${path}:${start + 1}: a function of ${length} lines, at most ${functionLinesMax}`];
  });
}

/** Biome breaks TypeScript code; comments and Zig it leaves as they are. */
function columns({ path, lines }: SourceFile): string[] {
  if (isGenerated(path)) return [];
  return lines.flatMap((line, index) => {
    const isOurs = path.endsWith(".zig") || /^\s*(\/\*\*|\*|\/\/)/.test(line);
    if (!isOurs || line.length <= columnsMax || line.includes("://")) return [];
    return [`${path}:${index + 1}: ${line.length} columns, at most ${columnsMax}`];
  });
}

function opening({ path, lines }: SourceFile): string[] {
  const body = lines[0]?.startsWith("#!") ? lines.slice(1) : lines;
  const first = body[0] ?? "";
  if (isGenerated(path)) {
    return /generated|written by/i.test(first) ? [] : [`${path}:1: name the generator here`];
  }
  if (path.endsWith(".zig")) {
    const length = body.findIndex((line) => !line.startsWith("//!"));
    return openingLength(path, length);
  }
  if (!first.startsWith("/**")) return [`${path}:1: open with a comment that says what it does`];
  return openingLength(path, body.findIndex((line) => line.includes("*/")) + 1);
}

function openingLength(path: string, length: number): string[] {
  if (length === 0) return [`${path}:1: open with a comment that says what it does`];
  // The marks of a TypeScript comment take two lines more.
  if (length <= openingLinesMax + 2) return [];
  return [`${path}:1: an opening of ${length} lines, at most ${openingLinesMax}`];
}

function banned({ path, lines }: SourceFile): string[] {
  const name = bannedNames.test(path) ? [`${path}: name the thing it holds`] : [];
  return lines.reduce<string[]>((breaches, line, index) => {
    for (const { pattern, only = /./ } of bannedWords) {
      if (only.test(path) && pattern.test(line)) {
        breaches.push(`${path}:${index + 1}: ${line.trim()}`);
      }
    }
    return breaches;
  }, name);
}

function isGenerated(path: string): boolean {
  return path.includes(".gen.");
}
