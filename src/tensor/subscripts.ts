/**
 * The subscripts of einsum, "ij,jk->ik": one label for each axis of each operand, and those of the
 * result. An ellipsis stands for the axes in front that are broadcast; its axes get the labels
 * `*0`, `*1`, ... from the last one on. Without an arrow the result has the ellipsis's axes, then
 * the labels that occur once, in alphabetical order.
 */
import { BitNetError } from "../errors/index.ts";

/** A label for each axis. */
export type Labels = readonly string[];

export interface Subscripts {
  operands: Labels[];
  result: Labels;
}

/** @throws BitNetError `tensor/bad-subscripts` */
export function parseSubscripts(text: string, ranks: readonly number[]): Subscripts {
  const [left, right, more] = text.replaceAll(/\s/g, "").split("->");
  const terms = left!.split(",");
  if (more !== undefined || terms.length !== ranks.length) {
    bad(text, `${ranks.length} operands want as many terms with "," between, and one "->" at most`);
  }
  const operands = terms.map((term, at) => {
    const parts = partsOf(text, term);
    const missing = ranks[at]! - parts.letters.length;
    if (missing < 0 || (missing > 0 && !parts.hasEllipsis)) {
      bad(text, `"${term}" names ${parts.letters.length} axes, operand ${at} has ${ranks[at]}`);
    }
    return labelsOf(parts, missing);
  });
  const broadcastCount = Math.max(
    0,
    ...operands.map((labels) => labels.filter(isBroadcast).length),
  );
  if (right === undefined) return { operands, result: implied(operands, broadcastCount) };
  const parts = partsOf(text, right);
  const known = new Set(operands.flat());
  for (const letter of parts.letters) {
    if (!known.has(letter)) bad(text, `"${letter}" of the result is in no operand`);
  }
  if (new Set(parts.letters).size !== parts.letters.length) {
    bad(text, "a label stands twice in the result");
  }
  if (broadcastCount > 0 && !parts.hasEllipsis) {
    bad(text, `the result leaves out the ${broadcastCount} axes of "..."`);
  }
  return { operands, result: labelsOf(parts, parts.hasEllipsis ? broadcastCount : 0) };
}

interface Parts {
  letters: string[];
  hasEllipsis: boolean;
  /** Letters in front of the ellipsis. */
  before: number;
}

function partsOf(text: string, term: string): Parts {
  const match = /^([A-Za-z]*)(\.\.\.)?([A-Za-z]*)$/.exec(term);
  if (!match) bad(text, `"${term}" is not made of letters and one "..."`);
  const [, before, ellipsis, after] = match;
  const letters = [...before!, ...after!];
  return { letters, hasEllipsis: ellipsis !== undefined, before: before!.length };
}

function labelsOf({ letters, before }: Parts, broadcastCount: number): string[] {
  return [
    ...letters.slice(0, before),
    ...broadcastLabels(broadcastCount),
    ...letters.slice(before),
  ];
}

function broadcastLabels(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `*${count - 1 - index}`);
}

function isBroadcast(label: string): boolean {
  return label.startsWith("*");
}

function implied(operands: readonly Labels[], broadcastCount: number): string[] {
  const letters = operands.flat().filter((label) => !isBroadcast(label));
  const once = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter));
  return [...broadcastLabels(broadcastCount), ...once.sort()];
}

function bad(text: string, why: string): never {
  throw new BitNetError("tensor/bad-subscripts", `einsum "${text}": ${why}`);
}
